"""The stage `distil`: train each branch without weights to imitate the teacher, on all tiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from lowvision.errors import WeightsError
from lowvision.models.architecture import Architecture
from lowvision.pipeline.core_stages import Distil
from lowvision.pipeline.stages import network, tile_sizes
from lowvision.pipeline.stages.job import Job
from lowvision.training.log import Value


def run(job: Job, options: Distil) -> None:
    """Write the weights of each student k to `distil/k/`; the data have the outputs of the teacher as gt."""
    for n, k in enumerate(job.recipe.students):
        stage, architecture, own = f"distil/{k}", job.architecture.only(k), options.of(n)
        samples = tile_sizes.everywhere(job, own, stage, options.candidates)
        file, initial = _initial(job, options, k)
        trained = network.train(job, stage, architecture, own, samples, initial)
        if file:
            _keep_better(job, stage, architecture, own, file, trained)


def _initial(job: Job, options: Distil, k: int) -> tuple[Path | None, nn.Module]:
    """Return the first file of `start` that holds student k, and its network; without a file, with random weights."""
    architecture, names = job.architecture.only(k), [name for _, name in options.weights_files()]
    for file in map(job.weights_path, names):
        try:
            return file, network.initialised(job, architecture, file)
        except WeightsError:
            continue
    if names:
        job.log.info(f"distil/{k}: not in {' or '.join(names)}; the student starts from random weights")
    return None, network.initialised(job, architecture, None)


def _keep_better(
    job: Job, stage: str, architecture: Architecture, options: Distil, file: Path, trained: Mapping[str, Value]
) -> None:
    """Replace the trained weights by those of the file if training has made them worse on data.valid."""
    initial = network.initialised(job, architecture, file)
    selection = job.selection(options)
    before, after = (
        metrics.get(selection.name) for metrics in (network.measured(job, architecture, options, initial), trained)
    )
    if not isinstance(before, float) or not isinstance(after, float):
        return
    if selection.score(after) < selection.score(before):
        job.log.info(
            f"{stage}: {selection.name} on data.valid fell from {before:.2f} to {after:.2f}, so the student keeps the "
            f"weights of {file}; a lower lr or more photographs may help"
        )
        network.keep(job, stage, architecture, options, initial)
