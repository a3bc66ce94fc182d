"""Weights files of other programs, recognised by the formats of plugins."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from torch import Tensor, nn

from lowvision.errors import WeightsError, summary_of
from lowvision.models import tensor_files
from lowvision.models.architecture import Architecture, Tile
from lowvision.models.state_dict import difference, few
from lowvision.plugins.contracts import Format, Part, Recognised
from lowvision.plugins.registry import Registry
from lowvision.routing.container import branch_prefix
from lowvision.system import meta_device

logger = logging.getLogger("lowvision")

PREFIXES = ("module.", "_orig_mod.", "generator.", "net_g.", "netG.", "model.", "network.")
"""Prefixes of names from wrappers: PyTorch's parallel and compiled modules, and the classes of training frameworks."""
COUNTERS = ("n_averaged", "step", "epoch")
"""Names of numbers next to the tensors of a network, e.g. of PyTorch's averaged models."""


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
    state = tensor_files.tensors(path)
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
    raise WeightsError(f"{path}: no format recognises it{reasons}; there are {names}; it holds {_few(state)}")


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
