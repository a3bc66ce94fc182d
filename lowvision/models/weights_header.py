"""The header of a weights file: the architecture, its measurements and provenance, as validated JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from lowvision.config.options import Options
from lowvision.errors import WeightsError, message_of, summary_of
from lowvision.models import calibration, header_json
from lowvision.models.architecture import Architecture
from lowvision.models.bounded_build import Limits, within
from lowvision.models.component_names import brief, plugins_of
from lowvision.models.external_weights import ExternalWeights
from lowvision.models.operating_points import OperatingPoint
from lowvision.plugins.registry import Registry

FORMAT = 1
"""Incremented when older versions of lowvision cannot read the files any more."""
MAX_SCALE = 32
"""Largest scale of a header; networks of real ones enlarge at most 8 times."""
MAX_TILE = 2048
"""Largest tile of a header: exporting and measuring a network use a batch of them."""


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
        return f"the header describes a {architecture.kind}, but its kind is {header.kind}"
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


def recognised(header: Header, registry: Registry) -> str:
    """Return how another program's file was recognised, e.g. `RCAN.pth (classsr): rcan for sr x4`."""
    return f"{header.provenance.origin}: {brief(header.architecture, registry)}"
