"""Implement `lowvision convert`: convert external weights, or reduce networks without changing their output."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from lowvision.commands.tasks import with_task
from lowvision.config import yaml_reader
from lowvision.config.validation import in_words, shown
from lowvision.errors import UsageError, WeightsError
from lowvision.models import calibration, component_names, external_weights, weights, weights_header
from lowvision.models.architecture import Architecture
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Backbone, Format, Task
from lowvision.plugins.registry import Registry
from lowvision.recipe.models import Reduction

TOLERANCE = 1e-5
"""Largest difference of a reduced network's output, relative to its largest value: rounding of the weights."""


def convert(
    path: Path,
    output: Path,
    registry: Registry,
    source_format: Format | None = None,
    scale: int | None = None,
    task: Task | None = None,
) -> str:
    """Convert an external weights file to `output` and return a line that describes it.

    source_format: format of the file; None: the format that recognises it. scale: scale to convert, of a file that
    holds several. task: task of the network, if the file does not determine it. The file is written atomically. Raises
    UsageError if `output` is the file itself, WeightsError if it is in lowvision's format or cannot be converted.
    """
    _refuse_overwriting(path, output)
    if not weights.is_foreign(path):
        raise WeightsError(f"{path}: is in lowvision's format already; use it without converting")
    external = external_weights.read(path, registry, source_format, scale)
    architecture = external.architecture if task is None else with_task(external.architecture, task, registry)
    network = architecture.build()
    with torch.no_grad():
        network.load_state_dict(external.state, strict=False)  # checked by `read`; a shared tensor has one key here
    provenance = weights_header.foreign_header(path, external, registry).provenance
    weights.save(output, network, architecture, registry, {}, provenance)
    numbers = sum(parameter.numel() for parameter in network.parameters())
    return (
        f"{output}: {component_names.brief(architecture, registry)}, {numbers:,} parameters, from {provenance.origin}"
    )


def reduce(path: Path, output: Path, registry: Registry, reduction: Reduction) -> str:
    """Reduce every branch of a weights file that can be reduced, write `output`, and return a line that describes it.

    Measured figures are kept, except the curve and the settings, which depend on cost. Raises UsageError if `output` is
    the file itself, WeightsError if no branch can be reduced or if a reduced branch computes another output.
    """
    _refuse_overwriting(path, output)
    header = weights.read_header(path, registry)
    architecture = header.architecture
    container = weights.load_container(path, architecture, registry) if architecture.classifier else None
    networks = list(container.branches.networks) if container else [weights.load_network(path, architecture, registry)]
    backbones, reasons = list(architecture.branches), list[str]()
    for k, backbone in enumerate(architecture.branches):
        try:
            backbones[k], networks[k] = _reduced(backbone, networks[k], architecture, reduction)
        except ValueError as error:
            reasons.append(f"branch {k}: {error}")
    if tuple(backbones) == architecture.branches:
        raise WeightsError(f"{path}: no branch is reduced: {'; '.join(reasons) or 'each is reduced already'}")
    smaller = architecture.replace(branches=tuple(backbones))
    facts = {name: value for name, value in header.measured.items() if not name.startswith(calibration.PREFIX)}
    if container:
        container.branches.networks = nn.ModuleList(networks)
    weights.save(output, container or networks[0], smaller, registry, facts, header.provenance.replace(calibrated=""))
    changed = sum(old != new for old, new in zip(architecture.branches, backbones, strict=True))
    lost = "; its curve is left out, because costs changed" if len(facts) < len(header.measured) else ""
    lost += "; its settings are left out, because costs changed" if header.settings else ""
    return f"{output}: {component_names.brief(smaller, registry)}, {changed} of {len(backbones)} reduced{lost}"


def parse_reduction(text: str, registry: Registry) -> Reduction:
    """Parse a reducer and its level, e.g. `{reparam: fused}`. Raises UsageError."""
    try:
        value: Any = yaml_reader.parse(text, "--reduce").value
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"must be a reducer and its level, e.g. '{{reparam: fused}}'; got {shown(value)}")
        ((name, level),) = value.items()
        return Reduction(reducer=choose("reducers", name, registry), level=level)  # type: ignore[arg-type]  # of that kind
    except ValidationError as error:
        raise UsageError(f"--reduce: {in_words(error)}") from None
    except ValueError as error:
        raise UsageError(f"--reduce: {error}") from None


def parse_format(text: str, registry: Registry) -> Format:
    """Parse a format's name, with or without options, e.g. `classsr: {scale: 2}`. Raises UsageError."""
    try:
        value = yaml_reader.parse(text, "--format").value
        return choose("formats", value, registry)  # type: ignore[return-value]  # of kind formats
    except ValidationError as error:
        raise UsageError(f"--format: {in_words(error)}") from None
    except ValueError as error:
        raise UsageError(f"--format: {error}") from None


def _reduced(
    backbone: Backbone, larger: nn.Module, architecture: Architecture, reduction: Reduction
) -> tuple[Backbone, nn.Module]:
    """Return the reduced backbone and its network, which inherits the weights of the larger one.

    Raises ValueError if it cannot be reduced, WeightsError if its output differs.
    """
    smaller = reduction.reducer.reduce_trained(backbone, reduction.level, larger)
    network = smaller.build(architecture.task)
    if not reduction.reducer.inherit(larger, network):
        raise ValueError("its weights cannot be inherited")
    size = architecture.tile.size
    tile = torch.rand(1, architecture.task.channels, size, size, generator=torch.Generator().manual_seed(0))
    expected, output = (_output(form, tile) for form in (larger, network))
    difference = (output - expected).abs().max().item() / max(1.0, expected.abs().max().item())
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"{type(backbone).__name__} at level {reduction.level}: its output differs by {difference:.1g}, so it must "
            "be trained; reduce it in a recipe"
        )
    return smaller, network


def _output(network: nn.Module, tile: torch.Tensor) -> torch.Tensor:
    """Return the output of a network for a tile, in float64."""
    with torch.no_grad():
        return copy.deepcopy(network).double().eval()(tile.double())


def _refuse_overwriting(path: Path, output: Path) -> None:
    """Raise UsageError if `output` is the file at `path`."""
    if output.exists() and path.exists() and output.samefile(path):
        raise UsageError(f"{output}: is the file to convert; give another -o")
