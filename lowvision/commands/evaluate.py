"""Implement `lowvision evaluate`: measure a weights file and its base network on sets of photographs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lowvision import report
from lowvision.commands.evaluate_request import EvaluateRequest
from lowvision.data import photographs
from lowvision.errors import UsageError
from lowvision.evaluation.measure import DEFAULT_METRICS
from lowvision.evaluation.run import run_evaluation
from lowvision.imaging.protocol import Protocol
from lowvision.plugins import spelling
from lowvision.plugins.contracts import Dataset, Task
from lowvision.plugins.metrics import Metric
from lowvision.plugins.registry import Registry
from lowvision.system import accelerators
from lowvision.training.log import Log

SHOWN = 4
"""Photographs per set whose pictures are in a report."""


def evaluate(
    path: Path,
    sets: Mapping[str, Dataset],
    registry: Registry,
    output: Path | None,
    device: str,
    budgets: tuple[float, ...] = (),
    fit_on: Dataset | None = None,
    task: Task | None = None,
    protocol: Protocol = "basicsr",
    metrics: Mapping[str, Metric] = DEFAULT_METRICS,
    prints: bool = True,
) -> dict[str, Any]:
    """Return the report's document; with `output`, also write the report and its pictures there.

    The arguments from `budgets` to `metrics` are those of EvaluateRequest. prints: False: nothing is printed.
    Raises WeightsError and DataError; UsageError for a budget or `fit_on` that a single network cannot use, and for a
    task of another scale or other channels.
    """
    request = EvaluateRequest(path, budgets, fit_on, task, protocol, metrics)
    loaded = request.load(registry)
    architecture = loaded.architecture
    images = {name: photographs.load(dataset, architecture.task) for name, dataset in sets.items()}
    with report_folder(output) as folder:
        accelerator = accelerators.build(device)
        evaluation = request.evaluation(loaded, registry, accelerator.device)
        log, shown = Log(folder, accelerator.is_main_process, prints=prints), SHOWN if output else 0
        pictures = folder / "pictures"
        results = run_evaluation(evaluation, architecture, images, shown, accelerator, log, pictures)
        document = titled(results, architecture.task, registry)
        if output and accelerator.is_main_process:
            report.write(folder, document, [], pictures)
    return document


def titled(results: Mapping[str, Any], task: Task, registry: Registry) -> dict[str, Any]:
    """Return the document of a report from its results."""
    title = spelling.in_words(task, registry)
    return {"schema": report.SCHEMA, "task": registry.serialize(task), "title": title, **results}


@contextmanager
def report_folder(output: Path | None) -> Iterator[Path]:
    """Yield the folder of the report, created if missing, or a temporary one. Raises UsageError."""
    if output is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output}: cannot create the folder: {error.strerror}; give another -o") from None
    yield output
