"""The stage `joint`: train classifier and branches together."""

from __future__ import annotations

from lowvision.models import weights
from lowvision.pipeline.stages import container
from lowvision.pipeline.stages.job import Job
from lowvision.recipe.stages import Joint


def run(job: Job, options: Joint) -> None:
    """Write the weights of the container to `joint/`."""
    path = job.weights_path(options.start) if options.start else job.kept("classifier")
    start = weights.load_container(path, job.architecture, job.registry) if path else container.assembled(job)
    container.train(job, "joint", options, start, frozen_branches=False)
