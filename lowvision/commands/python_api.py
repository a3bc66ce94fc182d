"""`lowvision.run` and `lowvision.evaluate`: runs and evaluations in programs and notebooks, without printing."""

from __future__ import annotations

import json
import os
import random
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

from lowvision import report
from lowvision.commands.component_argument import parse_component
from lowvision.config import yaml_reader
from lowvision.errors import RecipeError, UsageError
from lowvision.plugins import registry as plugins
from lowvision.plugins.contracts import Dataset
from lowvision.plugins.metrics import Metric
from lowvision.plugins.observers import Observer
from lowvision.plugins.registry import Registry

RecipeLike = str | Path | Mapping[str, Any]
"""A recipe file, the name of a shipped recipe, or the content of a recipe file."""
ComponentLike = str | Mapping[str, Any]
"""A component as a recipe writes it: `sr`, `{"sr": {"scale": 2}}`."""


@dataclass(frozen=True)
class Report:
    """The result of a run or an evaluation."""

    folder: Path | None
    """The run folder, or that of the evaluation's files; None if none were written."""
    document: Mapping[str, Any] | None
    """The content of `report.json`; None if nothing was evaluated."""
    weights: Path | None = None
    """The final weights file of the run, for `lowvision.load`; None if it trained nothing."""
    metrics: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    """All metrics of training: `stage`, `step`, and values by name."""

    def __str__(self) -> str:
        return report.text(self.document) if self.document else "no report: nothing was evaluated"

    def _repr_html_(self) -> str:
        """Return the report as notebooks show it."""
        pictures = self.folder / "evaluate" if self.folder else None
        return report.html(self.document, self.metrics, pictures) if self.document else f"<pre>{self}</pre>"


def run(
    recipe: RecipeLike,
    *,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    observers: Sequence[Observer] = (),
    folder: Path | str | None = None,
    restart: bool = False,
    device: str = "auto",
) -> Report:
    """Run a recipe from its first stage to its report; the same call resumes an interrupted run.

    Prints nothing: messages go to `log.txt` and to the logger `lowvision`. Random generators, environment variables
    and Accelerate's state are afterwards as before.
    recipe: a recipe file, the name of a shipped recipe, or the content of a recipe file.
    overrides: `["stages.base.steps=1000"]` or `{"stages.base.steps": 1000}`.
    observers: follow the run, in addition to those of the recipe.
    folder: the run folder. Default: `runs/NAME`, by the name of the recipe's file; required for a mapping.
    restart: remove all files that an earlier run wrote to the folder first.
    device: as `--device` of `lowvision run`.
    Raises LowvisionError, and what observers raise to end the run.
    """
    if isinstance(recipe, Mapping) and folder is None:
        raise UsageError("run: a recipe without a file has no name; give folder, e.g. folder='runs/mine'")
    with ExitStack() as stack:
        stack.enter_context(unchanged_state())  # also of imports: some libraries draw random numbers
        from lowvision.pipeline import run as pipeline
        from lowvision.recipe import reading, shipped
        from lowvision.training.log import read_metrics

        components = plugins.load()
        source = _source(recipe, stack) if isinstance(recipe, Mapping) else shipped.find(Path(recipe), components)
        parsed = reading.read(source, components, _overrides(overrides))
        target = Path("runs") / source.stem if folder is None else Path(folder)
        pipeline.run(parsed, components, source, target, restart, device, observers, prints=False)
    return Report(target, report.read(target), pipeline.trained_weights(parsed, target), read_metrics(target))


def evaluate(
    weights: str | Path,
    data: Path | ComponentLike,
    *,
    budgets: Sequence[float] = (),
    compare: Path | ComponentLike | None = None,
    task: ComponentLike | None = None,
    protocol: Literal["basicsr", "paper"] = "basicsr",
    metrics: Sequence[ComponentLike] = (),
    folder: Path | str | None = None,
    device: str = "auto",
) -> Report:
    """Measure quality, cost and time of a weights file on photographs, compared with its base network.

    Prints nothing and leaves the state of the process unchanged, like `run`.
    weights: a weights file, or the name of shipped weights.
    data: a folder, or a data set as in a recipe, e.g. `"samples_test"`, `{"folder": {"path": "photos"}}`.
    budgets: shares of the base's cost at which to measure too. compare: photographs on which to fit classifiers that
    need no training, and measure them too. task: default, the trained one. metrics: default, `psnr` and `ssim`; one
    without a reference, e.g. `noise`, also measures images without ground truth, e.g. of
    `{"folder": {"path": "photos", "has_gt": False}}`. folder: where to write the report; default, nowhere.
    """
    with unchanged_state():
        from lowvision.commands import evaluate as command
        from lowvision.models import pretrained

        components = plugins.load()
        path = pretrained.find(Path(weights), components)
        dataset = _dataset(data, components)
        target = None if folder is None else Path(folder)
        document = command.evaluate(
            path,
            {_set_name(data): dataset},
            components,
            target,
            device,
            tuple(budgets),
            None if compare is None else _dataset(compare, components),
            None if task is None else _component("tasks", task, components),
            protocol,
            _metrics(metrics, components),
            prints=False,
        )
    return Report(target, document, path)


@contextmanager
def unchanged_state() -> Iterator[None]:
    """Restore random generators, Accelerate's environment variables and Accelerate's state afterwards.

    A group of processes, e.g. of torchrun, keeps its state: it lives as long as the processes.
    """
    variables = {name: value for name, value in os.environ.items() if name.startswith("ACCELERATE_")}
    generators = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002  # of others
    # Accelerate keeps one state per process, in which e.g. the precision cannot change from one run to the next.
    shared = () if "WORLD_SIZE" in os.environ else (PartialState, AcceleratorState, GradientState)
    states = [dict(state._shared_state) for state in shared]
    for state in shared:
        state._shared_state.clear()
    try:
        yield
    finally:
        for state, before in zip(shared, states, strict=True):
            state._shared_state.clear()
            state._shared_state.update(before)
        for name in [name for name in os.environ if name.startswith("ACCELERATE_") and name not in variables]:
            del os.environ[name]
        os.environ.update(variables)
        random.setstate(generators[0])
        np.random.set_state(generators[1])  # noqa: NPY002  # as above
        torch.set_rng_state(generators[2])


def _source(recipe: Mapping[str, Any], stack: ExitStack) -> Path:
    """Write a recipe to a temporary file; errors name its keys, because the file and its lines are not the caller's."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    path = Path(folder) / "recipe.yml"
    parent = recipe.get("extends")
    if isinstance(parent, str | Path) and Path(parent).is_file():  # relative to the working directory
        recipe = {**recipe, "extends": Path(parent).absolute()}
    path.write_text(yaml_reader.dump(_plain(recipe)), encoding="utf-8")
    stack.enter_context(_keys_only(path))
    return path


@contextmanager
def _keys_only(path: Path) -> Iterator[None]:
    """Omit the file and its lines from the issues of a recipe."""
    try:
        yield
    except RecipeError as error:
        message = re.sub(rf"^{re.escape(str(path))}(:\d+)?: ", "recipe: ", str(error), flags=re.MULTILINE)
        raise type(error)(message) from None


def _overrides(overrides: Sequence[str] | Mapping[str, Any]) -> list[str]:
    if isinstance(overrides, str):
        raise UsageError(f"overrides: must be a list or a mapping, not the text '{overrides}'; write ['{overrides}']")
    if not isinstance(overrides, Mapping):
        return list(overrides)
    return [f"{path}={json.dumps(_plain(value))}" for path, value in overrides.items()]


def _plain(value: Any) -> Any:
    """Return a value with paths as text, tuples as lists and numbers of numpy as Python's."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def _dataset(data: str | Path | Mapping[str, Any], components: Registry) -> Dataset:
    """Return a data set as a recipe names it; any other text is a folder."""
    if isinstance(data, str | Path) and str(data) not in components["datasets"]:
        data = {"folder": {"path": str(data)}}
    dataset: Dataset = _component("datasets", data, components)
    return dataset


def _metrics(metrics: Sequence[ComponentLike], components: Registry) -> Mapping[str, Metric]:
    from lowvision.pipeline.core_stages import Evaluate

    chosen = tuple(_component("metrics", metric, components) for metric in metrics)
    return (Evaluate(metrics=chosen) if chosen else Evaluate()).named_metrics(components)


def _set_name(data: str | Path | Mapping[str, Any]) -> str:
    return Path(data).name if isinstance(data, str | Path) else str(next(iter(data)))


def _component(kind: str, value: Any, components: Registry) -> Any:
    """Return a component as a recipe names it. Raises UsageError."""
    return parse_component(kind, json.dumps(_plain(value)), kind, components)
