"""What `lowvision convert` does: writes a weights file anew, another program's as lowvision's own, or one in a form
that computes the same for less.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from lowvision.config import yaml_reader
from lowvision.config.validation import in_words, shown
from lowvision.errors import UsageError, WeightsError
from lowvision.models import calibration, external_weights, weights
from lowvision.models.architecture import Architecture
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Backbone, Format
from lowvision.plugins.registry import Registry
from lowvision.recipe.models import Reduction

EQUAL = 1e-5
"""By how much, of the largest value, the output of a reduced network may differ: rounding of its weights."""


def convert(path: Path, output: Path, registry: Registry, wanted: Format | None = None) -> str:
    """Write to `output` what that file holds, by the format `wanted` or the one that recognises it; a line of it.

    The file appears whole, by renaming. Raises UsageError where it would replace its own source, WeightsError where
    that is lowvision's own already, or cannot be taken over.
    """
    _spare(path, output)
    if not weights.is_foreign(path):
        raise WeightsError(f"{path}: is lowvision's own already; use it as it is")
    found = external_weights.read(path, registry, wanted)
    made = found.architecture
    network = made.build()
    with torch.no_grad():
        network.load_state_dict(found.state, strict=False)  # it fits; a tensor of two names has one of them here
    provenance = weights.foreign_header(path, found, registry).provenance
    weights.save(output, network, made, registry, {}, provenance)
    numbers = sum(parameter.numel() for parameter in network.parameters())
    return f"{output}: {weights.brief(made, registry)}, {numbers:,} parameters, from {provenance.origin}"


def reduce(path: Path, output: Path, registry: Registry, reduction: Reduction) -> str:
    """Write to `output` that weights file with every branch reduced that can be and computes the same; a line of it.

    What was measured of it stays true, save the curve and settings, which are of other costs, and are left out. Raises
    UsageError where it would replace its own source, WeightsError where no branch can be reduced, or one would compute
    something else.
    """
    _spare(path, output)
    header = weights.read_header(path, registry)
    made = header.architecture
    container = weights.load_container(path, made, registry) if made.classifier else None
    networks = list(container.branches.networks) if container else [weights.load_network(path, made, registry)]
    backbones, reasons = list(made.branches), list[str]()
    for k, backbone in enumerate(made.branches):
        try:
            backbones[k], networks[k] = _reduced(backbone, networks[k], made, reduction)
        except ValueError as error:
            reasons.append(f"branch {k}: {error}")
    if tuple(backbones) == made.branches:
        raise WeightsError(f"{path}: no branch is reduced: {'; '.join(reasons) or 'each is already what it would be'}")
    smaller = made.replace(branches=tuple(backbones))
    facts = {name: value for name, value in header.measured.items() if not name.startswith(calibration.PREFIX)}
    if container:
        container.branches.networks = nn.ModuleList(networks)
    weights.save(output, container or networks[0], smaller, registry, facts, header.provenance)
    changed = sum(old != new for old, new in zip(made.branches, backbones, strict=True))
    lost = "; its curve is left out, for it is of other costs" if len(facts) < len(header.measured) else ""
    lost += "; what it may be set to is left out, likewise" if header.settings else ""
    return f"{output}: {weights.brief(smaller, registry)}, {changed} of {len(backbones)} reduced{lost}"


def reduction_named(word: str, registry: Registry) -> Reduction:
    """What a word of the command says: a reducer and its level, as `{reparam: fused}`.

    Raises UsageError where it is not that, or the reducer is unknown.
    """
    try:
        said: Any = yaml_reader.parse(word, "--reduce").value
        if not isinstance(said, dict) or len(said) != 1:
            raise ValueError(f"give a reducer and its level, as '{{reparam: fused}}', not {shown(said)}")
        ((name, level),) = said.items()
        return Reduction(reducer=choose("reducers", name, registry), level=level)  # type: ignore[arg-type]  # of that menu
    except ValidationError as error:
        raise UsageError(f"--reduce: {in_words(error)}") from None
    except ValueError as error:
        raise UsageError(f"--reduce: {error}") from None


def format_named(word: str, registry: Registry) -> Format:
    """The format that a word of the command says: a name, or a name with its options, as `classsr: {scale: 2}`.

    Raises UsageError where it is neither, or unknown.
    """
    try:
        said = yaml_reader.parse(word, "--format").value
        return choose("formats", said, registry)  # type: ignore[return-value]  # that menu holds formats
    except ValidationError as error:
        raise UsageError(f"--format: {in_words(error)}") from None
    except ValueError as error:
        raise UsageError(f"--format: {error}") from None


def _reduced(
    backbone: Backbone, larger: nn.Module, made: Architecture, reduction: Reduction
) -> tuple[Backbone, nn.Module]:
    """The smaller backbone, and its network with the weights of the larger one.

    Raises ValueError where there is none. Raises WeightsError where it would compute something else.
    """
    smaller = reduction.reducer.reduce_trained(backbone, reduction.level, larger)
    network = smaller.build(made.task)
    if not reduction.reducer.inherit(larger, network):
        raise ValueError("its weights cannot be handed down")
    tile = torch.rand(1, made.task.channels, made.tile.size, made.tile.size, generator=torch.Generator().manual_seed(0))
    wanted, found = (_output(form, tile) for form in (larger, network))
    off = (found - wanted).abs().max().item() / max(1.0, wanted.abs().max().item())
    if not off <= EQUAL:
        raise WeightsError(
            f"{type(backbone).__name__} at level {reduction.level} computes something else (off by {off:.1g}), and has "
            "to be trained; let a recipe reduce it"
        )
    return smaller, network


def _output(network: nn.Module, tile: torch.Tensor) -> torch.Tensor:
    """What a network makes of a tile, in float64."""
    with torch.no_grad():
        return copy.deepcopy(network).double().eval()(tile.double())


def _spare(path: Path, output: Path) -> None:
    """Raise UsageError where `output` is the file at `path`."""
    if output.exists() and path.exists() and output.samefile(path):
        raise UsageError(f"{output}: would replace the file that is converted; give another -o")
