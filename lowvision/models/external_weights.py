"""Weights files of other programs: read without executing their code, recognised by the formats of plugins."""

from __future__ import annotations

import logging
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lowvision.errors import WeightsError, summary_of
from lowvision.models import ncnn
from lowvision.models.architecture import Architecture, Tile
from lowvision.models.state_dict import difference, few
from lowvision.plugins.contracts import Format, Part, Recognised
from lowvision.plugins.registry import Registry
from lowvision.routing.container import branch_prefix
from lowvision.system import meta_device, regular_file

logger = logging.getLogger("lowvision")

WRAPPERS = (
    *("params_ema", "params-ema", "g_ema", "net_g_ema", "ema", "model_ema", "state_dict_ema"),
    *("params", "state_dict", "model_state_dict", "generator_state_dict", "model", "net", "network"),
    *("generator", "net_g", "netG", "sd"),
)
"""Keys under which programs store the tensors of a network, moving averages first; the first that exists is used."""
PREFIXES = ("module.", "_orig_mod.", "generator.", "net_g.", "netG.", "model.", "network.")
"""Prefixes of names from wrappers: PyTorch's parallel and compiled modules, and the classes of training frameworks."""
COUNTERS = ("n_averaged", "step", "epoch")
"""Names of numbers next to the tensors of a network, e.g. of PyTorch's averaged models."""
LFS = b"version https://git-lfs"
HTML = (b"<!doctype html", b"<html", b"<?xml", b"<head")
"""First bytes of a Git LFS pointer and of a web page."""


@dataclass(frozen=True)
class ExternalWeights:
    """The content of another program's file as lowvision represents it."""

    architecture: Architecture
    """The network, or the container."""
    state: Mapping[str, Tensor]
    """Tensors by their names in the network that `architecture` builds."""
    format: str
    """Name of the format that recognised the file."""


def read(path: Path, registry: Registry, format_: Format | None = None, scale: int | None = None) -> ExternalWeights:
    """Read a file by `format_`, by default by the format that recognises it.

    scale: scale to read, for the formats of files that hold several or do not determine it.

    Raises WeightsError if the file is damaged, would execute code, is recognised by no format or by two, does not fit
    the recognised architecture, or has another scale.
    """
    state = tensors(path)
    try:
        if format_:
            attempts = (_recognised(format_, shortened, path, registry) for _, shortened in _candidates(dict(state)))
            recognised = next(filter(None, attempts), None)
        else:
            format_, recognised = _match(state, path, registry, scale)
    except _FormatFailed as error:
        raise WeightsError(f"{path}: {error}") from error
    name = registry.name_of(format_)
    if recognised is None:
        raise WeightsError(f"{path}: is not in the format '{name}'; it holds {_few(state)}")
    try:
        architecture = _architecture(recognised, registry)
        if scale is not None and architecture.task.scale != scale:
            raise WeightsError(
                f"{path}: is in the format '{name}' and has scale {architecture.task.scale}, not {scale}"
            )
        return ExternalWeights(architecture, _state(recognised, architecture), name)
    except ValidationError as error:
        raise WeightsError(f"{path}: is in the format '{name}', but cannot be built: {_reasons(error)}") from None
    except _Misfit as error:
        raise WeightsError(f"{path}: is in the format '{name}', but does not fit it: {error}") from None


def is_pickled(path: Path) -> bool:
    """Return True if `torch.save` wrote the file. Raises WeightsError if it cannot be read."""
    start = _start(path, 9)
    # safetensors begins with the length of its header, eight bytes that may be these by chance, and then a brace.
    return start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80")


def is_others(path: Path) -> bool:
    """Return True if only another program can have written the file. Raises WeightsError if it cannot be read."""
    return path.suffix == ncnn.SUFFIX or is_pickled(path)


def files(path: Path) -> tuple[Path, ...]:
    """Return all files of the network at `path`: ncnn stores its weights in a second one."""
    return (path, ncnn.numbers_of(path)) if path.suffix == ncnn.SUFFIX else (path,)


def tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file by name, on the CPU, without the wrappers of other programs.

    Raises WeightsError if the file is damaged, contains no tensors by name, or would execute code when opened.
    """
    if path.suffix == ncnn.SUFFIX:
        return ncnn.read(path)
    refuse_text(path)
    state = _unwrapped(_unpickled(path) if is_pickled(path) else _loaded(path), path)
    if all(name.startswith(PREFIXES[0]) for name in state):
        return {name.removeprefix(PREFIXES[0]): tensor for name, tensor in state.items()}
    return state


def refuse_text(path: Path) -> None:
    """Raise WeightsError for what a download leaves in place of weights: a web page, or a pointer of Git LFS."""
    start = _start(path, 512).lstrip().lower()
    if start.startswith(LFS):
        raise WeightsError(f"{path}: is a pointer of Git LFS, not the file; run `git lfs pull` in its repository")
    if start.startswith(HTML):
        raise WeightsError(f"{path}: is a web page, not weights; download the file itself, e.g. by its `raw` link")


def _start(path: Path, size: int) -> bytes:
    """Return the first bytes of a file. Raises WeightsError if it cannot be read."""
    try:
        regular_file.check(path)
        with path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise WeightsError(f"{path}: is a folder; give a weights file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None


def _candidates(state: dict[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the tensors without the prefixes of wrappers that all names share, and as they are, which is tried first.

    Some networks have names that all begin like a prefix, so formats decide. Numbers beside a prefixed network, which
    lack the prefix, are left out with it. The networks of a file with several are tried last.
    """
    whole, removed = state, ""
    yield removed, state
    while prefix := next((p for p in PREFIXES if all(n.startswith(p) for n in state if n not in COUNTERS)), None):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name not in COUNTERS}
        removed += prefix
        if not state:
            return
        yield removed, state
    for prefix in ("generator_ema.", "model_ema.", "net_g_ema.", "ema_model.", "ema.", *PREFIXES):
        part = {name.removeprefix(prefix): tensor for name, tensor in whole.items() if name.startswith(prefix)}
        if part and any(not name.startswith(prefix) and name not in COUNTERS for name in whole):
            yield prefix, part


class _Misfit(Exception):
    """The tensors of a file do not fit the recognised network."""


def _loaded(path: Path) -> Any:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a complete safetensors file ({error}); copy it again") from None


def _unpickled(path: Path) -> Any:
    try:
        # PyTorch warns of pickle protocols that it reads.
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(_numpy_scalars()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        match = re.search(r"GLOBAL (\S+)", str(error))
        content = match[1] if match else "more than tensors"
        raise WeightsError(
            f"{path}: needs {content}, which could execute code when opened, so it is rejected; if you trust it, save "
            "only its tensors in the program that made it: torch.save(network.state_dict(), ...)"
        ) from None
    except Exception as error:  # damaged files raise many types
        reason = str(error).partition("\n")[0]
        problem = f"not a complete PyTorch file ({type(error).__name__}: {reason})"
        raise WeightsError(f"{path}: {problem}; copy it again") from None


def _numpy_scalars() -> list[Any]:
    """Return what the pickle of a number of numpy needs; none of it runs code of the file."""
    kinds = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # numpy 1 and 2
    return [*((scalar, name) for name in names), np.dtype, *kinds, *(type(np.dtype(kind)) for kind in kinds)]


def _inner(content: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the mapping under the first wrapper, or the only mapping that holds tensors; otherwise the content."""
    for key in WRAPPERS:
        if isinstance(inner := content.get(key), Mapping):
            return inner
    holders = [v for v in content.values() if isinstance(v, Mapping) and any(isinstance(t, Tensor) for t in v.values())]
    return holders[0] if len(holders) == 1 else content


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the tensors by name from at most three levels of wrappers."""
    for _ in range(3):
        if not isinstance(content, Mapping):
            break
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return {str(name): tensor.detach() for name, tensor in content.items()}
        content = _inner(content)
    keys = few([str(key) for key in content]) if isinstance(content, Mapping) else type(content).__name__
    raise WeightsError(
        f"{path}: contains no tensors by name, but {keys or 'nothing'}; give a bare state dict, or one under "
        f"{', '.join(WRAPPERS)}"
    )


class _FormatFailed(Exception):
    """A format is broken, or requires a package that is not installed."""


def _match(
    state: Mapping[str, Tensor], path: Path, registry: Registry, scale: int | None = None
) -> tuple[Format, Recognised]:
    """Return the format that recognises these tensors, and its result; general formats are tried last."""
    formats = [_with_scale(entry.component, scale) for entry in registry["formats"].values()]
    failures: list[str] = []
    attempts = [(general, *candidate) for candidate in _candidates(dict(state)) for general in (False, True)]
    for general, removed, shortened in attempts:
        matches: list[tuple[Format, Recognised]] = []
        for format_ in formats:
            try:
                if format_.general == general and (recognised := _recognised(format_, shortened, path, registry)):
                    matches.append((format_, recognised))
            except _FormatFailed as error:  # a broken format must not prevent others from being tried
                failures.append(f"; {error}")
        if len(matches) > 1:
            names = " and ".join(registry.name_of(format_) for format_, _ in matches)
            raise WeightsError(f"{path}: {names} both recognise it; select one by `lowvision convert --format`")
        if matches:
            if removed:
                others = sum(not name.startswith(removed) and name not in COUNTERS for name in state)
                effect = f"selects a network among {others} other tensors" if others else "of all names is removed"
                logger.info("%s: the prefix '%s' %s", path.name, removed, effect)
            return matches[0]
    names, reasons = ", ".join(registry["formats"]) or "none", "".join(dict.fromkeys(failures))
    raise WeightsError(f"{path}: no format recognises it; there are {names}; it holds {_few(state)}{reasons}")


def _with_scale(kind: type[Format], scale: int | None) -> Format:
    """Return a format with the option `scale`, if it has one and supports this value."""
    try:
        return kind() if scale is None or "scale" not in kind.model_fields else kind(scale=scale)  # type: ignore[call-arg]  # it has that field
    except ValidationError:
        return kind()


def _recognised(format_: Format, state: Mapping[str, Tensor], path: Path, registry: Registry) -> Recognised | None:
    """Return the result of a format for these tensors. Raises _FormatFailed if it fails."""
    name = registry.name_of(format_)
    try:
        return format_.recognise(dict(state))
    except ValueError as error:
        reasons = _reasons(error) if isinstance(error, ValidationError) else error
        raise WeightsError(f"{path}: is in the format '{name}', but cannot be converted: {reasons}") from None
    except ImportError as error:  # an extra that is not installed
        raise _FormatFailed(str(error)) from error
    except Exception as error:  # an external format may raise anything
        raise _FormatFailed(f"format {name} failed: {summary_of(error)}") from error


def _few(state: Mapping[str, Tensor]) -> str:
    return f"{len(state)} tensors: {few(list(state))}"


def _reasons(error: ValidationError) -> str:
    """Return pydantic's messages in one line."""
    return "; ".join(details["msg"].removeprefix("Value error, ") for details in error.errors())


def _architecture(recognised: Recognised, registry: Registry) -> Architecture:
    tile = Tile() if recognised.tile is None else Tile(size=recognised.tile[0], overlap=recognised.tile[1])
    options = {
        "task": recognised.task,
        "branches": tuple(part.choice for part in recognised.branches),
        "classifier": recognised.classifier and recognised.classifier.choice,
        "tile": tile,
    }
    return Architecture.model_validate(options, context=registry)


def _state(recognised: Recognised, architecture: Architecture) -> dict[str, Tensor]:
    """Return the tensors of the network; for a container, those of its networks with the container's prefixes."""
    with meta_device.structure_only():
        if recognised.classifier is None:
            return _renamed(recognised.branches[0], architecture.build_network())
        container = architecture.build_container()
    parts = {"classifier.": (recognised.classifier, container.classifier)}
    for k, part in enumerate(recognised.branches):
        parts[branch_prefix(k)] = (part, container.branches.networks[k])
    return {
        prefix + name: tensor
        for prefix, (part, network) in parts.items()
        for name, tensor in _renamed(part, network).items()
    }


def _renamed(part: Part, network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a part by their names in the network. Raises _Misfit with the names in the file."""
    names_in_file = {name: file_name for file_name, name in part.names.items()}
    # With keep_vars a shared tensor is one object; on the meta device nothing else shows that it is shared.
    expected = {names_in_file.get(name, name): tensor for name, tensor in network.state_dict(keep_vars=True).items()}
    if misfit := difference(expected, part.state):
        raise _Misfit(misfit)
    return {part.names.get(name, name): tensor for name, tensor in part.state.items()}
