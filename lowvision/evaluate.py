"""What `lowvision evaluate` does: measures a weights file on sets of photographs, beside its own base."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from lowvision import devices, fitting, report, trained, weights
from lowvision.contracts import Dataset
from lowvision.errors import UsageError
from lowvision.recipe.models import Evaluate
from lowvision.registry import Registry
from lowvision.stages.evaluate import judge, measure
from lowvision.training import photographs
from lowvision.training.log import Log
from lowvision.training.tiles import Cutter


def evaluate(
    path: Path,
    sets: Mapping[str, Dataset],
    registry: Registry,
    output: Path | None,
    device: str,
    budgets: tuple[float, ...] = (),
    fit_on: Dataset | None = None,
) -> dict[str, Any]:
    """The report's document; with `output` the whole report and its pictures are left there too.

    The base is the container's last branch. budgets: shares of its cost on the whole image, at which to measure too.
    fit_on: photographs to fit classifiers without training on, which are then compared, beside an oracle.
    Raises WeightsError and DataError, and UsageError where a single network is asked to route.
    """
    header = weights.read_header(path, registry)
    architecture = header.architecture
    if weights.is_foreign(path):
        trained.tell(weights.recognised(header, registry))
    container = None
    if architecture.classifier:
        container = weights.load_container(path, architecture, registry)
        base = container.branches.networks[-1]
    elif budgets or fit_on:
        raise UsageError(f"{path}: a single network has nothing to route; leave --budget and --compare out")
    else:
        base = weights.load_network(path, architecture, registry)
    found = {name: photographs.load(dataset, architecture.task) for name, dataset in sets.items()}
    with tempfile.TemporaryDirectory() as nowhere:
        folder = output or Path(nowhere)
        folder.mkdir(parents=True, exist_ok=True)
        accelerator = Accelerator(cpu=devices.choose(device) == "cpu")
        options = Evaluate(pictures=4 if output else 0, budgets=budgets)
        lesson = None
        if fit_on and container:
            cutter = Cutter(photographs.load(fit_on, architecture.task), architecture.task, architecture.tile.size)
            lesson = fitting.lesson(container.branches, cutter, 0, accelerator.device)
        log = Log(folder, speaks=True)
        evaluation = judge(architecture, base, container, options, registry, lesson, 0, accelerator.device)
        document = {
            "schema": 1,
            "task": registry.spelt(architecture.task),
            **measure(evaluation, architecture, found, options.pictures, accelerator, log, folder / "pictures"),
        }
        if output:
            report.write(folder, document, [], folder / "pictures")
    return document
