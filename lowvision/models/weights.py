"""Weights files: safetensors with a header from which the network can be built again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor, nn

from lowvision.errors import WeightsError, message_of
from lowvision.layers.reparam import fused_state
from lowvision.models import bounded_build, external_weights, header_json, tensor_files
from lowvision.models.architecture import Architecture
from lowvision.models.bounded_build import Limits
from lowvision.models.component_names import plugins_of, shown
from lowvision.models.operating_points import OperatingPoint
from lowvision.models.state_dict import unshared
from lowvision.models.weights_header import Header, Provenance, foreign_header, header_of
from lowvision.plugins.contracts import Task
from lowvision.plugins.registry import Registry
from lowvision.routing.container import branch_prefix
from lowvision.system.atomic import whole

KEY = "lowvision"
"""The key of the safetensors metadata that holds the header as JSON."""


def save(
    path: Path,
    network: nn.Module,
    architecture: Architecture,
    registry: Registry,
    measured: Mapping[str, Any],
    provenance: Provenance = Provenance(),  # noqa: B008  # frozen
    settings: tuple[OperatingPoint, ...] = (),
) -> None:
    """Write a network or container atomically. Raises WeightsError if it cannot be written."""
    measurements = {name: tuple(value) if isinstance(value, list) else value for name, value in measured.items()}
    header = Header(
        kind=architecture.kind,  # type: ignore[arg-type]  # one of the two
        architecture=architecture,
        measured=measurements,
        settings=settings,
        plugins=plugins_of(architecture, registry),
        provenance=provenance,
    )
    text = json.dumps(header.model_dump(mode="json", context=registry))
    try:
        with whole(path, durable=True) as part:
            part.write_bytes(serialized(_stored_once(network), {KEY: text}))  # save_file permits the owner only
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be written: {error}") from None


def read_header(path: Path, registry: Registry) -> Header:
    """Return the header of a weights file; for another program's file, one from the format that recognises it.

    Raises WeightsError if the file is not recognised, or requires a plugin that is not installed.
    """
    text = _header_text(path)
    if text is None:
        return foreign_header(path, external_weights.read(path, registry), registry)
    return header_of(header_json.parsed(text, path), path, registry, Limits.of_tensors(_shapes(path)))


def check(path: Path, registry: Registry) -> Header:
    """Return the header of a file, after comparing its network with the tensors before memory is used.

    Raises WeightsError as `read_header`, if they differ, or if an operating point does not fit the network.
    """
    header = read_header(path, registry)
    if is_foreign(path):
        return header  # compared when it was recognised
    state = {name: torch.empty(shape, device="meta") for name, shape in _shapes(path).items()}
    _compare(path, header.architecture, header.architecture.build, registry, header.architecture, state)
    for setting in header.settings if header.architecture.classifier is None else ():
        for name, values in setting.state.items():
            if name not in state or state[name].numel() != len(values):
                raise WeightsError(f"{path}: an operating point does not fit tensor '{name}'; calibrate again")
    return header


def check_network(path: Path, registry: Registry, architecture: Architecture) -> None:
    """Raise WeightsError if the header of a file names other networks than `architecture`, in either form."""
    stored = read_header(path, registry).architecture
    networks = [stored.only(k) for k in range(len(stored.branches))] if stored.classifier else [stored]
    forms = [form for network in networks for form in (network, network.deployed())]
    if not any(_fits(form, wanted) for form in forms for wanted in (architecture, architecture.deployed())):
        raise WeightsError(_misfit(path, stored, architecture, registry))


def check_container(path: Path, registry: Registry, architecture: Architecture) -> None:
    """Raise WeightsError if the header of a file names another container than `architecture`, in either form."""
    stored = read_header(path, registry).architecture
    if stored.classifier is None or not _fits(stored.deployed(), architecture.deployed()):
        raise WeightsError(_misfit(path, stored, architecture, registry))


def check_task(path: Path, task: Task, place: str, registry: Registry) -> None:
    """Raise WeightsError if the networks of a file have another scale or number of channels than a task.

    place: argument or recipe key that names the file, for the error.
    """
    stored = read_header(path, registry).architecture.task
    if (stored.scale, stored.channels) != (task.scale, task.channels):
        raise WeightsError(
            f"{place}: '{path}' has scale {stored.scale} and {stored.channels} channels, the task has scale "
            f"{task.scale} and {task.channels} channels; name weights of the same scale and channels"
        )


def is_foreign(path: Path) -> bool:
    """Return True if another program wrote the file. Raises WeightsError if it cannot be read."""
    return _header_text(path) is None


def load_network(path: Path, architecture: Architecture, registry: Registry) -> nn.Module:
    """Build the single network `architecture` with the weights of a file. Raises WeightsError if they do not fit.

    From a container's file, take the last branch with the same architecture. A training form in the file is fused if
    `architecture` is its deployed form.
    """
    stored, state = _branch_like(architecture, *_read(path, registry))
    return _loaded(path, architecture, architecture.build_network, registry, stored, state)


def load_container(path: Path, architecture: Architecture, registry: Registry) -> Any:
    """Build the container `architecture` with the weights of a file, fused like by `load_network`.

    Raises WeightsError if they do not fit.
    """
    return _loaded(path, architecture, architecture.build_container, registry, *_read(path, registry))


def _branch_like(
    architecture: Architecture, stored: Architecture, state: Mapping[str, Tensor]
) -> tuple[Architecture, Mapping[str, Tensor]]:
    """Return the last branch of a stored container that fits `architecture`; if there is none, everything stored."""
    if stored.classifier:
        for k in reversed(range(len(stored.branches))):
            if _fits(stored.only(k), architecture) or _fits(stored.only(k).deployed(), architecture):
                prefix = branch_prefix(k)
                return stored.only(k), {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    return stored, state


def _loaded(
    path: Path,
    architecture: Architecture,
    build: Callable[[], nn.Module],
    registry: Registry,
    stored: Architecture,
    state: Mapping[str, Tensor],
) -> nn.Module:
    """Compare, then build the network and load its tensors.

    A stored training form is fused if `architecture` is its deployed form.
    """
    if not _fits(stored, architecture) and _fits(stored.deployed(), architecture):
        trained = _loaded(path, stored, stored.build, registry, stored, state)
        stored, state = stored.deployed(), fused_state(trained, build())
    _compare(path, architecture, build, registry, stored, state)
    network = build()
    with torch.no_grad():
        network.load_state_dict(state, strict=False)
    return network


def _compare(
    path: Path,
    architecture: Architecture,
    build: Callable[[], nn.Module],
    registry: Registry,
    stored: Architecture,
    state: Mapping[str, Tensor],
) -> None:
    """Raise WeightsError unless the stored tensors fit the network, which is built without memory."""
    try:
        misfit = bounded_build.misfit(build, state)
    except Exception as error:  # constructors of plugins may raise anything
        raise WeightsError(f"{path}: its network cannot be built: {message_of(error)[:300]}") from error
    if misfit or not _fits(stored, architecture):
        reason = f": {misfit}" if misfit else ""
        raise WeightsError(f"{_misfit(path, stored, architecture, registry)}{reason}")


def _misfit(path: Path, stored: Architecture, architecture: Architecture, registry: Registry) -> str:
    return (
        f"{path}: holds a {stored.kind}, {shown(stored, registry)}; "
        f"needed is a {architecture.kind}, {shown(architecture, registry)}"
    )


def _read(path: Path, registry: Registry) -> tuple[Architecture, Mapping[str, Tensor]]:
    text = _header_text(path)
    if text is None:
        external = external_weights.read(path, registry)
        return external.architecture, external.state
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    header = header_of(header_json.parsed(text, path), path, registry, Limits.of_tensors(_shapes(path)))
    return header.architecture, state


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors in a safetensors file without reading them."""
    with safe_open(path, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # not a mapping


def _header_text(path: Path) -> str | None:
    """Return the JSON of the header; None if another program wrote the file. Raises WeightsError if it is damaged."""
    if tensor_files.is_others(path):
        return None
    tensor_files.refuse_other_kinds(path)
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(KEY)
    except (OSError, SafetensorError) as error:
        raise tensor_files.incomplete(path, error) from None


def _fits(stored: Architecture, architecture: Architecture) -> bool:
    """Return True if both compute the same: tensors of equal shapes may still belong to another scale or skip."""
    keys = [(a.task.scale, a.task.channels, a.branches) for a in (stored, architecture)]
    return keys[0] == keys[1]


def _stored_once(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in unshared(network.state_dict()).items()}
