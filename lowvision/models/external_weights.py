"""Weights files of other programs: read without running any code of theirs, recognised by the formats of plugins."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lowvision.errors import WeightsError
from lowvision.models import ncnn
from lowvision.models.architecture import Architecture, Tile
from lowvision.models.state_dict import difference, few
from lowvision.plugins.contracts import Format, Part, Recognised
from lowvision.plugins.registry import Registry
from lowvision.routing.container import branch_prefix

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net", "network", "generator")
"""Keys under which programs keep the tensors of a network beside other things; the first that is there is taken."""
PREFIX = "module."
"""What PyTorch's parallel wrappers put before every name."""


@dataclass(frozen=True)
class ExternalWeights:
    """What another program's file holds, in our terms."""

    architecture: Architecture
    """The network, or the container."""
    state: Mapping[str, Tensor]
    """Its tensors, under the names that `architecture` gives them when it is built."""
    format: str
    """The name of the format that recognised it."""


def read(path: Path, registry: Registry, wanted: Format | None = None) -> ExternalWeights:
    """What that file holds, by the format `wanted`, or by the one that recognises it.

    Raises WeightsError where the file is damaged, would run code, is recognised by none or by two, or does not fit
    what it was recognised as.
    """
    state = tensors(path)
    try:
        one, recognised = (wanted, _asked(wanted, state, path, registry)) if wanted else _first(state, path, registry)
    except _Failed as error:
        raise WeightsError(f"{path}: {error}") from error
    name = registry.name_of(one)
    if recognised is None:
        raise WeightsError(f"{path}: is not in the format '{name}'; it holds {_few(state)}")
    try:
        made = _architecture(recognised, registry)
        return ExternalWeights(made, _state(recognised, made), name)
    except ValidationError as error:
        raise WeightsError(f"{path}: is in the format '{name}', but cannot be built: {_reasons(error)}") from None
    except _Misfit as error:
        raise WeightsError(f"{path}: is in the format '{name}', but does not fit it: {error}") from None


def is_pickled(path: Path) -> bool:
    """Whether PyTorch's own way of writing made the file. Raises WeightsError where it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    # safetensors begins with the length of its header, eight bytes that may be these by chance, and then a brace.
    return start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80")


def is_others(path: Path) -> bool:
    """Whether only another program can have written the file. Raises WeightsError if it cannot be read."""
    return path.suffix == ncnn.SUFFIX or is_pickled(path)


def files(path: Path) -> tuple[Path, ...]:
    """Return all files that hold the network at `path`: ncnn keeps its numbers in a second one."""
    return (path, ncnn.numbers_of(path)) if path.suffix == ncnn.SUFFIX else (path,)


def tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a file by name, on the CPU, without what other programs put around them.

    Raises WeightsError where it is damaged, holds no tensors by name, or would run code when it is opened.
    """
    if path.suffix == ncnn.SUFFIX:
        return ncnn.read(path)
    state = _unwrapped(_unpickled(path) if is_pickled(path) else _loaded(path), path)
    if all(name.startswith(PREFIX) for name in state):
        return {name.removeprefix(PREFIX): tensor for name, tensor in state.items()}
    return state


class _Misfit(Exception):
    """The tensors of a file are not those of the network that it was recognised as."""


def _loaded(path: Path) -> Any:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error})") from None


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needs = re.search(r"GLOBAL (\S+)", str(error))
        what = f" needs {needs[1]}" if needs else " needs more than tensors"
        raise WeightsError(
            f"{path}:{what}, and opening that could run code, so it is refused; where you trust it, save its tensors "
            f"alone in the program that made it: torch.save(network.state_dict(), ...)"
        ) from None
    except Exception as error:  # whatever a damaged file makes PyTorch's reader stumble over
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: not a whole PyTorch file ({type(error).__name__}: {reason})") from None


def _unwrapped(found: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by name, at most three wrappers deep."""
    for _ in range(3):
        if not isinstance(found, Mapping):
            break
        if found and all(isinstance(value, Tensor) for value in found.values()):
            return {str(name): tensor.detach() for name, tensor in found.items()}
        found = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), found)
    keys = few([str(key) for key in found]) if isinstance(found, Mapping) else type(found).__name__
    raise WeightsError(
        f"{path}: holds no tensors by name, but {keys or 'nothing'}; known are a bare state dict, or one under "
        f"{', '.join(WRAPPERS)}"
    )


class _Failed(Exception):
    """A format is broken, or needs what is not installed."""


def _first(state: Mapping[str, Tensor], path: Path, registry: Registry) -> tuple[Format, Recognised]:
    """The format that knows these tensors, and what they are. Those that know everything are asked last."""
    formats: list[Format] = [entry.component() for entry in registry["formats"].values()]
    failed: list[str] = []
    for general in (False, True):
        answers: list[tuple[Format, Recognised]] = []
        for one in formats:
            try:
                if one.general == general and (answer := _asked(one, state, path, registry)):
                    answers.append((one, answer))
            except _Failed as error:  # a stranger's format must not stand in the way of the others
                failed.append(f"; {error}")
        if len(answers) > 1:
            names = " and ".join(registry.name_of(one) for one, _ in answers)
            raise WeightsError(f"{path}: {names} both recognise it; say which by `lowvision convert --format`")
        if answers:
            return answers[0]
    names = ", ".join(registry["formats"]) or "none"
    raise WeightsError(f"{path}: no format recognises it; there are {names}; it holds {_few(state)}{''.join(failed)}")


def _asked(one: Format, state: Mapping[str, Tensor], path: Path, registry: Registry) -> Recognised | None:
    """What a format makes of these tensors. Raises _Failed where it does not work."""
    name = registry.name_of(one)
    try:
        return one.recognise(dict(state))
    except ValueError as error:
        reasons = _reasons(error) if isinstance(error, ValidationError) else error
        raise WeightsError(f"{path}: is in the format '{name}', but cannot be taken over: {reasons}") from None
    except ImportError as error:  # what it needs is an extra that is not installed
        raise _Failed(str(error)) from error
    except Exception as error:  # whatever a stranger's format stumbles over
        raise _Failed(f"format {name} failed: {type(error).__name__}: {error}") from error


def _few(state: Mapping[str, Tensor]) -> str:
    return f"{len(state)} tensors: {few(list(state))}"


def _reasons(error: ValidationError) -> str:
    """In one line, what pydantic tells in several."""
    return "; ".join(details["msg"].removeprefix("Value error, ") for details in error.errors())


def _architecture(recognised: Recognised, registry: Registry) -> Architecture:
    tile = Tile() if recognised.tile is None else Tile(size=recognised.tile[0], overlap=recognised.tile[1])
    told = {
        "task": recognised.task,
        "branches": tuple(part.choice for part in recognised.branches),
        "classifier": recognised.classifier and recognised.classifier.choice,
        "tile": tile,
    }
    return Architecture.model_validate(told, context=registry)


def _state(recognised: Recognised, made: Architecture) -> dict[str, Tensor]:
    """The tensors of the network, or of the container, whose own names stand before those of its networks."""
    with torch.device("meta"):
        if recognised.classifier is None:
            return _renamed(recognised.branches[0], made.build_network())
        container = made.build_container()
    parts = {"classifier.": (recognised.classifier, container.classifier)}
    for k, part in enumerate(recognised.branches):
        parts[branch_prefix(k)] = (part, container.branches.networks[k])
    return {
        prefix + name: tensor
        for prefix, (part, network) in parts.items()
        for name, tensor in _renamed(part, network).items()
    }


def _renamed(part: Part, network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a part under the names of the network. Raises _Misfit, in the file's own names."""
    theirs = {ours: name for name, ours in part.names.items()}
    # With keep_vars what is shared is one object: on the meta device nothing else tells.
    wanted = {theirs.get(name, name): tensor for name, tensor in network.state_dict(keep_vars=True).items()}
    if told := difference(wanted, part.state):
        raise _Misfit(told)
    return {part.names.get(name, name): tensor for name, tensor in part.state.items()}
