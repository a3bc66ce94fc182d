"""What `lowvision evaluate` does: measures a weights file on sets of photographs, beside its own base."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from lowvision import devices, report, weights
from lowvision.contracts import Dataset
from lowvision.recipe.models import Evaluate
from lowvision.registry import Registry
from lowvision.stages.evaluate import measure
from lowvision.training import photographs
from lowvision.training.log import Log


def evaluate(
    path: Path, sets: Mapping[str, Dataset], registry: Registry, output: Path | None, device: str
) -> dict[str, Any]:
    """The report's document; with `output` the whole report and its pictures are left there too.

    The base is the container's last branch. Raises WeightsError and DataError.
    """
    architecture = weights.read_header(path, registry).architecture
    container = None
    if architecture.classifier:
        container = weights.load_container(path, architecture, registry)
        base = container.branches.networks[-1]
    else:
        base = weights.load_network(path, architecture, registry)
    found = {name: photographs.load(dataset, architecture.task) for name, dataset in sets.items()}
    with tempfile.TemporaryDirectory() as nowhere:
        folder = output or Path(nowhere)
        folder.mkdir(parents=True, exist_ok=True)
        accelerator = Accelerator(cpu=devices.choose(device) == "cpu")
        options = Evaluate(pictures=4 if output else 0)
        log = Log(folder, speaks=True)
        document = {
            "schema": 1,
            "task": registry.spelt(architecture.task),
            **measure(architecture, base, container, found, options, 0, accelerator, log, folder / "pictures"),
        }
        if output:
            report.write(folder, document, [], folder / "pictures")
    return document
