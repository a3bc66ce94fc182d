"""The stage `base`: train the largest network alone on all tiles ("-O" in the paper)."""

from __future__ import annotations

from torch import Tensor
from torch.utils.data import Dataset

from lowvision.data.tiles import Grid, Successive
from lowvision.pipeline.core_stages import Base
from lowvision.pipeline.stages import network
from lowvision.pipeline.stages.job import Job


def run(job: Job, options: Base) -> None:
    """Write the weights of the base to `base/`."""
    start = options.start or job.recipe.branches[-1].weights
    architecture = job.architecture.only(-1)
    initial = network.initialised(job, architecture, job.weights_path(start) if start else None)
    network.train(job, "base", architecture, options, _samples(job, options), initial)


def _samples(job: Job, options: Base) -> Dataset[tuple[Tensor, Tensor]]:
    """Return the training tiles, of one size, or of several sizes in turn."""
    each = []
    for size in options.tiles or (job.recipe.tile.size,):
        extractor = job.extractor("train", size)
        each.append(job.samples(extractor, Grid(extractor.photographs, size, stride=1), "base", options.candidates))
    return each[0] if len(each) == 1 else Successive(tuple(each), options.steps, options.batch)
