"""Weights files: safetensors with a header from which the network can be built again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor, nn

from lowvision.config.options import Options
from lowvision.errors import WeightsError, message_of, summary_of
from lowvision.layers.reparam import fused_state
from lowvision.models import bounded_build, calibration, external_weights, header_json
from lowvision.models.architecture import Architecture
from lowvision.models.bounded_build import Limits, within
from lowvision.models.external_weights import ExternalWeights
from lowvision.models.operating_points import OperatingPoint
from lowvision.models.state_dict import unshared
from lowvision.plugins.contracts import Backbone
from lowvision.plugins.registry import Registry
from lowvision.routing.container import branch_prefix
from lowvision.system.atomic import whole

FORMAT = 1
"""Incremented when older versions of lowvision cannot read the files any more."""
MAX_SCALE = 32
"""Largest scale of a header; networks of real ones enlarge at most 8 times."""
MAX_TILE = 2048
"""Largest tile of a header: exporting and measuring a network use a batch of them."""
KEY = "lowvision"
"""The key of the safetensors metadata that holds the header as JSON."""


class Provenance(Options):
    """Purpose, license and origin of weights, for people who use or redistribute them."""

    about: str = ""
    """Purpose and training data, in one or two sentences."""
    license: str = ""
    """License of the weights, e.g. `Apache-2.0`."""
    origin: str = ""
    """Name and format of the other program's file that they were converted from; empty: none."""


class Header(Options):
    """The header of a weights file."""

    format: int = FORMAT
    """The version of this layout."""
    kind: Literal["backbone", "container"]
    """`backbone`: one network; `container`: classifier and branches."""
    architecture: Architecture
    """The architecture to build."""
    measured: dict[str, float | tuple[float, ...]] = Field(default_factory=dict)
    """Measurements on `data.valid` by name."""
    settings: tuple[OperatingPoint, ...] = ()
    """Operating points of an adaptive network."""
    plugins: dict[str, str] = Field(default_factory=dict)
    """Required distributions of plugins and their versions."""
    provenance: Provenance = Provenance()
    """Purpose, license and origin."""


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


def check(path: Path, registry: Registry) -> None:
    """Compare the tensors of a file with the network of its header before memory is used.

    Raises WeightsError if they differ, or if an operating point does not fit the network.
    """
    if is_foreign(path):
        return  # compared when it was recognised
    header = read_header(path, registry)
    state = {name: torch.empty(shape, device="meta") for name, shape in _shapes(path).items()}
    _compare(path, header.architecture, header.architecture.build, registry, header.architecture, state)
    for setting in header.settings if header.architecture.classifier is None else ():
        for name, values in setting.state.items():
            if name not in state or state[name].numel() != len(values):
                raise WeightsError(f"{path}: an operating point does not fit tensor '{name}'; calibrate again")


def is_foreign(path: Path) -> bool:
    """Return True if another program wrote the file. Raises WeightsError if it cannot be read."""
    return _header_text(path) is None


def foreign_header(path: Path, external: ExternalWeights, registry: Registry) -> Header:
    """Return the header for the content of another program's file."""
    return Header(
        kind=external.architecture.kind,  # type: ignore[arg-type]  # one of the two
        architecture=external.architecture,
        plugins=plugins_of(external.architecture, registry),
        provenance=Provenance(origin=f"{path.name} ({external.format})"),
    )


def header_of(raw: dict[str, Any], path: Path, registry: Registry, limits: Limits) -> Header:
    """Return the header from its JSON; `path` is for messages. Raises WeightsError as `read_header` does."""
    header_json.check_format(raw, FORMAT, path)
    try:
        with within(limits):  # options of some plugins build a network to validate it
            header = Header.model_validate(header_json.with_tuples(raw), context=registry)
    except ValidationError as error:
        raise WeightsError(f"{path}: cannot be rebuilt: {header_json.reasons(error)}{header_json.needs(raw)}") from None
    except Exception as error:  # validators of plugins may raise anything
        raise WeightsError(f"{path}: cannot be rebuilt: {summary_of(error)[:300]}{header_json.needs(raw)}") from None
    if issue := _issue(header):
        raise WeightsError(f"{path}: cannot be used: {issue}; the header was changed, get the file again")
    return header


def _issue(header: Header) -> str:
    """Return what is wrong with values that fit their own options but not each other; empty if nothing is."""
    architecture = header.architecture
    if header.kind != architecture.kind:
        return f"the header describes a {architecture.kind} and says {header.kind}"
    if architecture.classifier is None and len(architecture.branches) > 1:
        return f"{len(architecture.branches)} branches have no classifier"
    if architecture.tile.size > MAX_TILE:
        return f"tiles of {architecture.tile.size} pixels are larger than {MAX_TILE}"
    if architecture.task.scale > MAX_SCALE:
        return f"scale {architecture.task.scale} is larger than {MAX_SCALE}"
    for branch in architecture.branches:
        if branch.scales is not None and architecture.task.scale not in branch.scales:
            return f"a branch has no scale {architecture.task.scale}, which its task has"
    try:
        calibration.read(header.measured)
    except ValueError as error:
        return f"its curve is damaged ({message_of(error)[:200]})"
    return ""


def load_network(path: Path, wanted: Architecture, registry: Registry) -> nn.Module:
    """Build the single network `wanted` with the weights of a file. Raises WeightsError if they do not fit.

    From a container's file, take the last branch with the same architecture. A training form in the file is fused if
    its deployed form is wanted.
    """
    stored, state = _branch_like(wanted, *_read(path, registry))
    return _loaded(path, wanted, wanted.build_network, registry, stored, state)


def load_container(path: Path, wanted: Architecture, registry: Registry) -> Any:
    """Build the container `wanted` with the weights of a file, fused as `load_network` does.

    Raises WeightsError if they do not fit.
    """
    return _loaded(path, wanted, wanted.build_container, registry, *_read(path, registry))


def _branch_like(
    wanted: Architecture, stored: Architecture, state: Mapping[str, Tensor]
) -> tuple[Architecture, Mapping[str, Tensor]]:
    """Return the last branch of a stored container that fits `wanted`; if there is none, all that is stored."""
    if stored.classifier:
        for k in reversed(range(len(stored.branches))):
            if _fits(stored.only(k), wanted) or _fits(stored.only(k).deployed(), wanted):
                prefix = branch_prefix(k)
                return stored.only(k), {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    return stored, state


def _loaded(
    path: Path,
    wanted: Architecture,
    build: Callable[[], nn.Module],
    registry: Registry,
    stored: Architecture,
    state: Mapping[str, Tensor],
) -> nn.Module:
    """Compare, then build the network and load its tensors; fuse a stored training form if its deployed form is wanted."""
    if not _fits(stored, wanted) and _fits(stored.deployed(), wanted):
        trained = _loaded(path, stored, stored.build, registry, stored, state)
        stored, state = stored.deployed(), fused_state(trained, build())
    _compare(path, wanted, build, registry, stored, state)
    network = build()
    with torch.no_grad():
        network.load_state_dict(state, strict=False)
    return network


def _compare(
    path: Path,
    wanted: Architecture,
    build: Callable[[], nn.Module],
    registry: Registry,
    stored: Architecture,
    state: Mapping[str, Tensor],
) -> None:
    """Raise WeightsError unless the stored tensors fit the wanted network; it is built without memory."""
    try:
        misfit = bounded_build.misfit(build, state)
    except Exception as error:  # constructors of plugins may raise anything
        raise WeightsError(f"{path}: its network cannot be built: {message_of(error)[:300]}") from error
    if misfit or not _fits(stored, wanted):
        raise WeightsError(
            f"{path}: holds a {stored.kind}, {shown(stored, registry)}; "
            f"needed is a {wanted.kind}, {shown(wanted, registry)}" + (f": {misfit}" if misfit else "")
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
    if external_weights.is_others(path):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(KEY)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a complete safetensors file ({error}); copy it again") from None


def _fits(stored: Architecture, wanted: Architecture) -> bool:
    """Return True if both compute the same: tensors of equal shapes may still belong to another scale or skip."""
    keys = [(a.task.scale, a.task.channels, a.branches) for a in (stored, wanted)]
    return keys[0] == keys[1]


def _stored_once(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in unshared(network.state_dict()).items()}


def brief(architecture: Architecture, registry: Registry) -> str:
    """Return the architecture by names, e.g. `a container of fsrcnn, fsrcnn, fsrcnn for sr x4`."""
    networks = ", ".join(registry.name_of(backbone) for backbone in architecture.branches)
    description = f"a container of {networks}" if architecture.classifier else networks
    return f"{description} for {registry.name_of(architecture.task)} x{architecture.task.scale}"


def recognised(header: Header, registry: Registry) -> str:
    """Return how another program's file was recognised, e.g. `RCAN.pth (classsr): rcan for sr x4`."""
    return f"{header.provenance.origin}: {brief(header.architecture, registry)}"


def plugins_of(architecture: Architecture, registry: Registry) -> dict[str, str]:
    """Return the distributions whose plugins an architecture needs, and their installed versions."""
    entries = [registry.entry_of(component) for component in components_of(architecture)]
    return {entry.distribution: entry.version for entry in entries}


def components_of(architecture: Architecture) -> list[Options]:
    """Return the components of an architecture, with the backbones among their options."""
    parts = [architecture.task, *architecture.branches, architecture.classifier]
    present = [part for part in parts if part is not None]
    return [component for part in present for component in (part, *_inner_backbones(part))]


def _inner_backbones(options: Options) -> Iterator[Backbone]:
    """Yield the backbones among the options, and those among their options."""
    for _, value in options:
        if isinstance(value, Backbone):
            yield value
            yield from _inner_backbones(value)


def shown(architecture: Architecture, registry: Registry) -> str:
    """Return the architecture with its options, e.g. `fsrcnn(channels=16), ... for sr x2`."""
    networks = ", ".join(_with_options(branch, registry) for branch in architecture.branches)
    return f"{networks} for {registry.name_of(architecture.task)} x{architecture.task.scale}"


def _with_options(options: Options, registry: Registry) -> str:
    """Return e.g. `fsrcnn(channels=16)`; backbones among the options are written in the same way."""
    values = {name: value for name, value in options if _is_printed(options, name)}
    texts = {n: _with_options(v, registry) if isinstance(v, Backbone) else v for n, v in values.items()}
    return f"{registry.name_of(options)}({', '.join(f'{name}={value}' for name, value in texts.items())})"


def _is_printed(options: Options, name: str) -> bool:
    """Return True unless the field has `repr=False`."""
    return bool(type(options).model_fields[name].repr)
