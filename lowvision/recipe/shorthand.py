"""Expand the short forms of a recipe: `backbone` with `reduce`, or files, to branches; paths; names of metrics."""

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


class Expanded(NamedTuple):
    """A recipe without short forms, and the issues of its short forms."""

    value: dict[str, Any]
    issues: list[ValidationIssue]


class ReducerLevels(NamedTuple):
    """A reducer by name, its levels, and the key path of the levels."""

    name: str
    reducer: Reducer
    levels: tuple[Level, ...]
    path: KeyPath


def expand(value: Mapping[str, Any], registry: Registry) -> Expanded:
    """Return the recipe with explicit `branches`, folders as choices, and options of selecting metrics."""
    full = {key: part for key, part in value.items() if key not in ("backbone", "reduce")}
    if isinstance(full.get("data"), dict):
        full["data"] = {key: _photographs(key, part, registry) for key, part in full["data"].items()}
    if isinstance(full.get("stages"), dict):
        full["stages"] = _with_metric_options(full["stages"])
    backbone, reduce = value.get("backbone"), value.get("reduce")
    if backbone is None and reduce is None:
        listed, issues = _with_files(full.get("branches"), registry)
        return Expanded({**full, "branches": listed} if "branches" in full else full, issues)
    if full.get("branches") is not None:
        return Expanded(
            full, [ValidationIssue(("branches",), "cannot be combined with backbone or reduce; give one or the other")]
        )
    if backbone is None:
        return Expanded(full, [ValidationIssue(("reduce",), "needs a backbone to reduce; give backbone as well")])
    if reduce is None and _file_of(backbone, registry):
        branch, issues = _branch_from_file(backbone, ("backbone",), registry)
        return Expanded({**full, "branches": (branch,) if branch else ()}, issues)
    branches, issues = _branches(backbone, {} if reduce is None else reduce, registry)
    return Expanded({**full, "branches": tuple(branches)}, issues)


def _with_metric_options(stages: dict[str, Any]) -> dict[str, Any]:
    """Return stages in which `keep: {best: NAME}` has the options of that metric in `evaluate.metrics`."""
    evaluate = stages.get("evaluate")
    listed = evaluate.get("metrics", ()) if isinstance(evaluate, dict) else ()
    choices = listed if isinstance(listed, tuple) else (listed,)
    with_options = {
        name: {name: options} for choice in choices if isinstance(choice, dict) for name, options in choice.items()
    }
    return {name: _selected(stage, with_options) for name, stage in stages.items()}


def _selected(stage: Any, metrics: Mapping[str, Any]) -> Any:
    keep = stage.get("keep") if isinstance(stage, dict) else None
    name = keep.get("best") if isinstance(keep, dict) else None
    return {**stage, "keep": {"best": metrics[name]}} if isinstance(name, str) and name in metrics else stage


def _photographs(key: str, value: Any, registry: Registry) -> Any:
    """Return a path as a folder, a list as a mix of data sets, and anything else unchanged."""
    if key not in ("train", "valid", "test"):
        return value
    if isinstance(value, tuple):
        return {"mix": {"of": tuple(_photographs(key, item, registry) for item in value)}}
    if isinstance(value, dict) and isinstance(value.get("mix"), dict) and isinstance(value["mix"].get("of"), tuple):
        of = tuple(_photographs(key, item, registry) for item in value["mix"]["of"])
        return {"mix": {**value["mix"], "of": of}}
    if not isinstance(value, str) or value in registry["datasets"]:
        return value
    is_path = value.startswith((".", "~")) or "/" in value or os.sep in value or os.path.isdir(value)
    return {"folder": {"path": value}} if is_path else value


def _with_files(branches: Any, registry: Registry) -> tuple[Any, list[ValidationIssue]]:
    """Return the branches with those that are weights files expanded, and anything else unchanged."""
    if not isinstance(branches, tuple):
        return branches, []
    expanded, issues = [], list[ValidationIssue]()
    for k, branch in enumerate(branches):
        if _file_of(branch, registry):
            from_file, more = _branch_from_file(branch, ("branches", k), registry)
            issues += more
            expanded.append(from_file or branch)
        else:
            expanded.append(branch)
    return tuple(expanded), issues


def _file_of(branch: Any, registry: Registry) -> str | None:
    """Return FILE of a branch {weights: FILE} or {FORMAT: FILE}; None for other branches."""
    if not isinstance(branch, dict) or len(branch) != 1:
        return None
    ((name, file),) = branch.items()
    is_file = isinstance(file, str) and (name == "weights" or name in registry["formats"])
    return file if is_file else None


def _branch_from_file(
    branch: dict[str, str], path: KeyPath, registry: Registry
) -> tuple[Branch, list[ValidationIssue]] | tuple[None, list[ValidationIssue]]:
    """Return a branch with the network in a weights file, and with its weights."""
    from lowvision.models import weights  # imports torch, which most recipes do not need

    ((name, file),) = branch.items()
    try:
        header = weights.check(Path(file), registry)
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
    """Return one branch per level of `reduce`; the backbone alone if it is empty."""
    largest, issues = _chosen("backbones", backbone, ("backbone",), registry)
    if not isinstance(reduce, dict):
        message = f"must be a mapping of reducers to their levels, e.g. {{channels: [36, 52, 64]}}, not {shown(reduce)}"
        return [], [*issues, ValidationIssue(("reduce",), message)]
    reducers = []
    for name, value in reduce.items():
        reducer, more = _reducer_levels(name, value, registry)
        reducers.append(reducer)
        issues += more
    if issues:
        return [], issues
    if not reducers:
        return [Branch(backbone=cast(Backbone, largest))], []
    return _zipped(cast(Backbone, largest), cast(list[ReducerLevels], reducers))


def _chosen(
    kind: str, value: Any, path: KeyPath, registry: Registry
) -> tuple[Options, list[ValidationIssue]] | tuple[None, list[ValidationIssue]]:
    """Return the component for the value at `path`, or None and the issues."""
    try:
        return choose(kind, value, registry), []
    except ValidationError as error:
        return None, [issue.below(*path) for issue in from_error(error, Options, value)]
    except ValueError as error:
        return None, [ValidationIssue(path, str(error))]


def _reducer_levels(name: str, value: Any, registry: Registry) -> tuple[ReducerLevels | None, list[ValidationIssue]]:
    """Return a reducer and its levels, from a list of levels, or from `levels` among the reducer's options."""
    path: KeyPath = ("reduce", name)
    options = {}
    levels = value
    if isinstance(value, dict):
        options = {key: option for key, option in value.items() if key != "levels"}
        levels = value.get("levels")
        path = (*path, "levels")
    reducer, issues = _chosen("reducers", {name: options}, ("reduce",), registry)
    issues += _level_issues(levels, path)
    return None if issues else ReducerLevels(name, cast(Reducer, reducer), levels, path), issues


def _level_issues(levels: Any, path: KeyPath) -> list[ValidationIssue]:
    if not isinstance(levels, tuple) or not levels:
        return [
            ValidationIssue(path, f"must be a list of levels, one per branch, e.g. [36, 52, 64], not {shown(levels)}")
        ]
    return [
        ValidationIssue((*path, k), f"must be a number or text, not {shown(level)}")
        for k, level in enumerate(levels)
        if isinstance(level, bool) or not isinstance(level, int | float | str)
    ]


def _zipped(backbone: Backbone, reducers: list[ReducerLevels]) -> tuple[list[Branch], list[ValidationIssue]]:
    """Return the branches: branch k is the backbone at level k of every reducer."""
    first, *others = reducers
    for other in others:
        if len(other.levels) != len(first.levels):
            counts = f"{first.name} has {len(first.levels)} levels, {other.name} has {len(other.levels)}"
            return [], [ValidationIssue(("reduce",), f"{counts}; give all reducers one level per branch")]
    outcomes = [_reduced(backbone, reducers, k) for k in range(len(first.levels))]
    return (
        [outcome for outcome in outcomes if isinstance(outcome, Branch)],
        [outcome for outcome in outcomes if isinstance(outcome, ValidationIssue)],
    )


def _reduced(backbone: Backbone, reducers: list[ReducerLevels], k: int) -> Branch | ValidationIssue:
    """Return the backbone at level k of all reducers in turn, or the issue."""
    steps = []
    for reducer in reducers:
        step = Reduction(reducer=reducer.reducer, level=reducer.levels[k])
        try:
            backbone = step.of(backbone)
        except ValidationError as error:
            issues = from_error(error, type(backbone), dict(backbone))
            text = "; ".join(f"{'.'.join(map(str, issue.path))} {issue.message}".strip() for issue in issues)
            return ValidationIssue((*reducer.path, k), f"level {step.level}: {text}")
        except ValueError as error:
            return ValidationIssue((*reducer.path, k), f"level {step.level}: {error}")
        steps.append(step)
    return Branch(backbone=backbone, reduced=tuple(steps))
