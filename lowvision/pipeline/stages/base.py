"""The stage `base`: train the largest network alone on all tiles ("-O" in the paper)."""

from __future__ import annotations

from lowvision.pipeline.core_stages import Base
from lowvision.pipeline.stages import network, tile_sizes
from lowvision.pipeline.stages.job import Job


def run(job: Job, options: Base) -> None:
    """Write the weights of the base to `base/`."""
    start = options.start or job.recipe.branches[-1].weights
    architecture = job.architecture.only(-1)
    initial = network.initialised(job, architecture, job.weights_path(start) if start else None)
    samples = tile_sizes.everywhere(job, options, "base", options.candidates)
    network.train(job, "base", architecture, options, samples, initial)
