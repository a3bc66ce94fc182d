"""The stage `base`: train the largest network alone on all tiles ("-O" in the paper)."""

from __future__ import annotations

from lowvision.data.tiles import Grid
from lowvision.pipeline.core_stages import Base
from lowvision.pipeline.stages import network
from lowvision.pipeline.stages.job import Job


def run(job: Job, options: Base) -> None:
    """Write the weights of the base to `base/`."""
    extractor = job.extractor("train", options.tile)
    start = options.start or job.recipe.branches[-1].weights
    samples = job.samples(extractor, Grid(extractor.photographs, extractor.size, stride=1), "base", options.candidates)
    architecture = job.architecture.only(-1)
    initial = network.initialised(job, architecture, job.weights_path(start) if start else None)
    network.train(job, "base", architecture, options, samples, initial)
