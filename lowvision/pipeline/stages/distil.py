"""The stage `distil`: train each branch without weights to imitate the teacher, on all tiles."""

from __future__ import annotations

from torch import nn

from lowvision.errors import WeightsError
from lowvision.pipeline.core_stages import Distil
from lowvision.pipeline.stages import network, tile_sizes
from lowvision.pipeline.stages.job import Job


def run(job: Job, options: Distil) -> None:
    """Write the weights of each student k to `distil/k/`; the data have the outputs of the teacher as gt."""
    for n, k in enumerate(job.recipe.students):
        stage = f"distil/{k}"
        own = options.of(n)
        samples = tile_sizes.everywhere(job, own, stage, options.candidates)
        network.train(job, stage, job.architecture.only(k), own, samples, _initial(job, options, k))


def _initial(job: Job, options: Distil, k: int) -> nn.Module:
    """Return student k with the weights of the first file of `start` that holds this network, or with random ones."""
    architecture = job.architecture.only(k)
    files = [file for _, file in options.weights_files()]
    for file in files:
        try:
            return network.initialised(job, architecture, job.weights_path(file))
        except WeightsError:
            continue
    if files:
        job.log.info(f"distil/{k}: not in {' or '.join(files)}; the student starts from random weights")
    return network.initialised(job, architecture, None)
