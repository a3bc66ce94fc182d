"""Writes the short forms of a recipe out: `backbone` with `reduce`, or files, as branches; a path as a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from lowvision.config.options import Options
from lowvision.config.validation import ValidationIssue, from_error, shown
from lowvision.config.yaml_reader import KeyPath
from lowvision.errors import LowvisionError
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Backbone, Reducer
from lowvision.plugins.registry import Registry
from lowvision.recipe.models import Branch, Reduction

Level = int | float | str


class Spelt(NamedTuple):
    """A recipe without short forms, and what stood in the way of writing it so."""

    value: dict[str, Any]
    complaints: list[ValidationIssue]


class Knob(NamedTuple):
    """A reducer by name, the levels that it is asked for, and where each stands in the recipe."""

    name: str
    reducer: Reducer
    levels: tuple[Level, ...]
    path: KeyPath


def write_out(value: Mapping[str, Any], registry: Registry) -> Spelt:
    """The recipe with explicit `branches` and every folder spelt as a choice."""
    full = {key: part for key, part in value.items() if key not in ("backbone", "reduce")}
    if isinstance(full.get("data"), dict):
        full["data"] = {key: _photographs(key, part, registry) for key, part in full["data"].items()}
    backbone, reduce = value.get("backbone"), value.get("reduce")
    if backbone is None and reduce is None:
        listed, complaints = _listed(full.get("branches"), registry)
        return Spelt({**full, "branches": listed} if "branches" in full else full, complaints)
    if full.get("branches") is not None:
        return Spelt(full, [ValidationIssue(("branches",), "stands beside backbone or reduce; give one or the other")])
    if backbone is None:
        return Spelt(full, [ValidationIssue(("reduce",), "needs a backbone to make smaller; give backbone as well")])
    if reduce is None and _file_of(backbone, registry):
        branch, complaints = _of_file(backbone, ("backbone",), registry)
        return Spelt({**full, "branches": (branch,) if branch else ()}, complaints)
    branches, complaints = _branches(backbone, {} if reduce is None else reduce, registry)
    return Spelt({**full, "branches": tuple(branches)}, complaints)


def _photographs(key: str, value: Any, registry: Registry) -> Any:
    """A word that is a path as a folder; anything else as it is."""
    if key not in ("train", "valid", "test") or not isinstance(value, str) or value in registry["datasets"]:
        return value
    is_path = value.startswith((".", "~")) or "/" in value or os.sep in value or Path(value).is_dir()
    return {"folder": {"path": value}} if is_path else value


def _listed(branches: Any, registry: Registry) -> tuple[Any, list[ValidationIssue]]:
    """The list of branches, those that are a weights file with the network that is in it; anything else as it is."""
    if not isinstance(branches, tuple):
        return branches, []
    found, complaints = [], list[ValidationIssue]()
    for k, branch in enumerate(branches):
        if _file_of(branch, registry):
            made, more = _of_file(branch, ("branches", k), registry)
            complaints += more
            found.append(made or branch)
        else:
            found.append(branch)
    return tuple(found), complaints


def _file_of(branch: Any, registry: Registry) -> str | None:
    """The weights file that a branch is, as {weights: FILE} or {a format's name: FILE}; None: it is something else."""
    if not isinstance(branch, dict) or len(branch) != 1:
        return None
    ((name, file),) = branch.items()
    is_file = isinstance(file, str) and (name == "weights" or name in registry["formats"])
    return file if is_file else None


def _of_file(
    branch: dict[str, str], path: KeyPath, registry: Registry
) -> tuple[Branch, list[ValidationIssue]] | tuple[None, list[ValidationIssue]]:
    """The network that is in a weights file, and starts from it."""
    from lowvision.models import weights  # imports torch, which most recipes need not wait for

    ((name, file),) = branch.items()
    try:
        header = weights.read_header(Path(file), registry)
    except LowvisionError as error:
        return None, [ValidationIssue((*path, name), str(error))]
    if header.kind != "backbone":
        return None, [ValidationIssue((*path, name), f"{file}: holds a {header.kind}; a branch is one network")]
    if name != "weights" and not header.provenance.origin.endswith(f"({name})"):
        return None, [
            ValidationIssue((*path, name), f"{file}: is not in the format '{name}'; write {{weights: {file}}}")
        ]
    return Branch(backbone=header.architecture.branches[0], weights=file), []


def _branches(backbone: Any, reduce: Any, registry: Registry) -> tuple[list[Branch], list[ValidationIssue]]:
    """One branch for each level of `reduce`; the backbone alone where there is none."""
    largest, complaints = _chosen("backbones", backbone, ("backbone",), registry)
    if not isinstance(reduce, dict):
        message = f"must be a mapping of reducers to their levels, as {{channels: [36, 52, 64]}}, not {shown(reduce)}"
        return [], [*complaints, ValidationIssue(("reduce",), message)]
    knobs = []
    for name, asked in reduce.items():
        knob, more = _knob(name, asked, registry)
        knobs.append(knob)
        complaints += more
    if complaints:
        return [], complaints
    if not knobs:
        return [Branch(backbone=cast(Backbone, largest))], []
    return _zipped(cast(Backbone, largest), cast(list[Knob], knobs))


def _chosen(
    kind: str, value: Any, path: KeyPath, registry: Registry
) -> tuple[Options, list[ValidationIssue]] | tuple[None, list[ValidationIssue]]:
    """What `choose` makes of the value at `path`, or its complaints."""
    try:
        return choose(kind, value, registry), []
    except ValidationError as error:
        return None, [c.below(*path) for c in from_error(error, Options, value)]
    except ValueError as error:
        return None, [ValidationIssue(path, str(error))]


def _knob(name: str, asked: Any, registry: Registry) -> tuple[Knob | None, list[ValidationIssue]]:
    """A reducer and its levels, from a list of levels, or `levels` among the reducer's own options."""
    path: KeyPath = ("reduce", name)
    options = {}
    levels = asked
    if isinstance(asked, dict):
        options = {key: value for key, value in asked.items() if key != "levels"}
        levels = asked.get("levels")
        path = (*path, "levels")
    reducer, complaints = _chosen("reducers", {name: options}, ("reduce",), registry)
    complaints += _wrong_levels(levels, path)
    return None if complaints else Knob(name, cast(Reducer, reducer), levels, path), complaints


def _wrong_levels(levels: Any, path: KeyPath) -> list[ValidationIssue]:
    if not isinstance(levels, tuple) or not levels:
        return [
            ValidationIssue(
                path, f"must be a list of levels, one for each branch, as [36, 52, 64], not {shown(levels)}"
            )
        ]
    return [
        ValidationIssue((*path, k), f"a level is a number or a word, not {shown(level)}")
        for k, level in enumerate(levels)
        if isinstance(level, bool) or not isinstance(level, int | float | str)
    ]


def _zipped(backbone: Backbone, knobs: list[Knob]) -> tuple[list[Branch], list[ValidationIssue]]:
    """The backbone under the first level of every reducer, under the second of every reducer, ..."""
    first, *others = knobs
    for other in others:
        if len(other.levels) != len(first.levels):
            counts = f"{first.name} has {len(first.levels)} levels, {other.name} has {len(other.levels)}"
            return [], [ValidationIssue(("reduce",), f"{counts}; give each branch one of both")]
    outcomes = [_reduced(backbone, knobs, k) for k in range(len(first.levels))]
    return (
        [outcome for outcome in outcomes if isinstance(outcome, Branch)],
        [outcome for outcome in outcomes if isinstance(outcome, ValidationIssue)],
    )


def _reduced(backbone: Backbone, knobs: list[Knob], k: int) -> Branch | ValidationIssue:
    """The backbone under level k of every reducer in turn, or why there is none."""
    steps = []
    for knob in knobs:
        step = Reduction(reducer=knob.reducer, level=knob.levels[k])
        try:
            backbone = step.of(backbone)
        except ValidationError as error:
            broken = from_error(error, type(backbone), dict(backbone))
            told = "; ".join(f"{'.'.join(map(str, c.path))} {c.message}".strip() for c in broken)
            return ValidationIssue((*knob.path, k), f"level {step.level}: {told}")
        except ValueError as error:
            return ValidationIssue((*knob.path, k), f"level {step.level}: {error}")
        steps.append(step)
    return Branch(backbone=backbone, reduced=tuple(steps))
