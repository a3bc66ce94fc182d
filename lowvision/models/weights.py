"""Weights files: safetensors whose header holds everything that is needed to build the network again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor, nn

from lowvision.config.options import Options
from lowvision.errors import WeightsError
from lowvision.models import external_weights
from lowvision.models.architecture import Architecture
from lowvision.models.external_weights import ExternalWeights
from lowvision.models.operating_points import OperatingPoint
from lowvision.models.state_dict import difference, unshared
from lowvision.plugins.contracts import Backbone
from lowvision.plugins.registry import Registry
from lowvision.routing.container import branch_prefix
from lowvision.system.atomic import whole

FORMAT = 1
"""Raised when an older lowvision could no longer read what is written."""
KEY = "lowvision"
"""The one key of the safetensors header under which everything stands, as JSON."""


class Provenance(Options):
    """What people should know of weights before they use or pass them on."""

    about: str = ""
    """What they are for, and what they learned from, in a sentence or two."""
    license: str = ""
    """On what terms they may be used, as `Apache-2.0`."""
    origin: str = ""
    """The file of another program that they were made from, without its folder, and that file's format; empty: none."""


class Header(Options):
    """What stands at the head of a weights file."""

    format: int = FORMAT
    """The version of this layout."""
    kind: Literal["backbone", "container"]
    """One network, or classifier and branches."""
    architecture: Architecture
    """What to build."""
    measured: dict[str, float | tuple[float, ...]] = Field(default_factory=dict)
    """What was measured of it on `data.valid`, by name."""
    settings: tuple[OperatingPoint, ...] = ()
    """What a network that decides by itself may be set to."""
    plugins: dict[str, str] = Field(default_factory=dict)
    """The distributions whose plugins it needs, and their versions."""
    provenance: Provenance = Provenance()
    """Where it comes from, and on what terms."""


def save(
    path: Path,
    network: nn.Module,
    architecture: Architecture,
    registry: Registry,
    measured: Mapping[str, Any],
    provenance: Provenance = Provenance(),  # noqa: B008  # frozen
    settings: tuple[OperatingPoint, ...] = (),
) -> None:
    """Write a network or container; the file appears whole, by renaming."""
    facts = {name: tuple(value) if isinstance(value, list) else value for name, value in measured.items()}
    header = Header(
        kind=architecture.kind,  # type: ignore[arg-type]  # one of the two
        architecture=architecture,
        measured=facts,
        settings=settings,
        plugins=plugins_of(architecture, registry),
        provenance=provenance,
    )
    text = json.dumps(header.model_dump(mode="json", context=registry))
    try:
        with whole(path) as part:
            part.write_bytes(serialized(_stored_once(network), {KEY: text}))  # save_file makes it its owner's alone
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be written: {error}") from None


def read_header(path: Path, registry: Registry) -> Header:
    """The header of a weights file; for another program's file, what a format recognises it as.

    Raises WeightsError where it is not one, or needs a plugin that is not there.
    """
    text = _header_text(path)
    if text is None:
        return foreign_header(path, external_weights.read(path, registry), registry)
    return header_of(json.loads(text), path, registry)


def is_foreign(path: Path) -> bool:
    """Whether another program wrote the file. Raises WeightsError where it cannot be read."""
    return _header_text(path) is None


def foreign_header(path: Path, found: ExternalWeights, registry: Registry) -> Header:
    """The header that another program's file would have if lowvision had written it."""
    return Header(
        kind=found.architecture.kind,  # type: ignore[arg-type]  # one of the two
        architecture=found.architecture,
        plugins=plugins_of(found.architecture, registry),
        provenance=Provenance(origin=f"{path.name} ({found.format})"),
    )


def header_of(raw: dict[str, Any], path: Path, registry: Registry) -> Header:
    """The header that JSON found at `path` says. Raises WeightsError as `read_header` does."""
    if raw.get("format", 0) > FORMAT:
        raise WeightsError(f"{path}: format {raw['format']} is newer than this lowvision reads ({FORMAT}); upgrade it")
    try:
        return Header.model_validate(_with_tuples(raw), context=registry)
    except ValidationError as error:
        needs = ", ".join(f"{name} {version}" for name, version in raw.get("plugins", {}).items())
        # A branch that is missing is told already: no word of the list that is too short then.
        told = [e["msg"].removeprefix("Value error, ") for e in error.errors() if e["type"] != "too_short"]
        reasons = "; ".join(dict.fromkeys(told or [str(error)]))
        raise WeightsError(
            f"{path}: cannot be rebuilt: {reasons}; it was made with {needs}: install what is missing of them"
        ) from None


def load_network(path: Path, wanted: Architecture, registry: Registry) -> nn.Module:
    """The single network `wanted` with the weights in that file. Raises WeightsError where they are another's.

    A container's file gives those of the branch that is this very network; of several, the last.
    """
    network = wanted.build_network()
    _load_into(network, path, wanted, registry, *_branch_like(wanted, *_read(path, registry)))
    return network


def load_container(path: Path, wanted: Architecture, registry: Registry) -> Any:
    """The container `wanted` with the weights in that file. Raises WeightsError where they are another's."""
    container = wanted.build_container()
    _load_into(container, path, wanted, registry, *_read(path, registry))
    return container


def _branch_like(
    wanted: Architecture, found: Architecture, state: Mapping[str, Tensor]
) -> tuple[Architecture, Mapping[str, Tensor]]:
    """Of a container the last branch that is the network `wanted`, where there is one; else all that was found."""
    if found.classifier:
        for k in reversed(range(len(found.branches))):
            if _fits(found.only(k), wanted):
                prefix = branch_prefix(k)
                return found.only(k), {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    return found, state


def _load_into(
    network: nn.Module,
    path: Path,
    wanted: Architecture,
    registry: Registry,
    found: Architecture,
    state: Mapping[str, Tensor],
) -> None:
    misfit = difference(network.state_dict(), state)
    if misfit or not _fits(found, wanted):
        raise WeightsError(
            f"{path}: holds a {found.kind}, {shown(found, registry)}; "
            f"wanted is a {wanted.kind}, {shown(wanted, registry)}" + (f": {misfit}" if misfit else "")
        )
    with torch.no_grad():
        network.load_state_dict(state, strict=False)


def _read(path: Path, registry: Registry) -> tuple[Architecture, Mapping[str, Tensor]]:
    text = _header_text(path)
    if text is None:
        found = external_weights.read(path, registry)
        return found.architecture, found.state
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    return header_of(json.loads(text), path, registry).architecture, state


def _header_text(path: Path) -> str | None:
    """The JSON of the header; None where another program wrote the file. Raises WeightsError where it is damaged."""
    if external_weights.is_others(path):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(KEY)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error})") from None


def _fits(found: Architecture, wanted: Architecture) -> bool:
    """Whether weights mean the same in both: tensors of equal shape may still be of another scale, or skip."""
    shapes = [(a.task.scale, a.task.channels, a.branches) for a in (found, wanted)]
    return shapes[0] == shapes[1]


def _stored_once(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in unshared(network.state_dict()).items()}


def brief(architecture: Architecture, registry: Registry) -> str:
    """The architecture by its names alone: `a container of fsrcnn, fsrcnn, fsrcnn for sr x4`."""
    networks = ", ".join(registry.name_of(backbone) for backbone in architecture.branches)
    whole = f"a container of {networks}" if architecture.classifier else networks
    return f"{whole} for {registry.name_of(architecture.task)} x{architecture.task.scale}"


def recognised(header: Header, registry: Registry) -> str:
    """What another program's file was recognised as: `RCAN.pth (classsr): rcan for sr x4`."""
    return f"{header.provenance.origin}: {brief(header.architecture, registry)}"


def plugins_of(architecture: Architecture, registry: Registry) -> dict[str, str]:
    """The distributions whose plugins an architecture needs, and the versions that are here."""
    parts = [architecture.task, *architecture.branches, architecture.classifier]
    entries = [registry.entry_of(component) for part in parts if part is not None for component in (part, *_held(part))]
    return {entry.distribution: entry.version for entry in entries}


def _held(options: Options) -> Iterator[Backbone]:
    """The backbones that stand in its options, and in theirs."""
    for _, value in options:
        if isinstance(value, Backbone):
            yield value
            yield from _held(value)


def shown(architecture: Architecture, registry: Registry) -> str:
    """The architecture in a few words: `fsrcnn(channels=16), ... for sr`."""
    networks = ", ".join(_told(branch, registry) for branch in architecture.branches)
    return f"{networks} for {registry.name_of(architecture.task)} x{architecture.task.scale}"


def _told(options: Options, registry: Registry) -> str:
    """`fsrcnn(channels=16)`; a backbone in its options is told in the same way."""
    values = {name: value for name, value in options if _is_for_people(options, name)}
    said = {n: _told(v, registry) if isinstance(v, Backbone) else v for n, v in values.items()}
    return f"{registry.name_of(options)}({', '.join(f'{name}={value}' for name, value in said.items())})"


def _is_for_people(options: Options, name: str) -> bool:
    """Whether an option is one to be read: a field with `repr=False` is not."""
    return bool(type(options).model_fields[name].repr)


def _with_tuples(value: Any) -> Any:
    """JSON's lists as tuples, as options models want them."""
    if isinstance(value, list):
        return tuple(_with_tuples(v) for v in value)
    if isinstance(value, dict):
        return {name: _with_tuples(v) for name, v in value.items()}
    return value
