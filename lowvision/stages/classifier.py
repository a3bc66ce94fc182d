"""The stage `classifier`: trains the classifier while the branches are frozen."""

from __future__ import annotations

from pathlib import Path

from lowvision import weights
from lowvision.recipe.models import ClassifierStage
from lowvision.stages import container
from lowvision.stages.job import Job


def run(job: Job, options: ClassifierStage) -> None:
    """Leaves the container's weights in `classifier/`."""
    if options.start:
        start = weights.load_container(Path(options.start), job.architecture, job.registry)
    else:
        start = container.assembled(job)
    container.train(job, "classifier", options, start, frozen_branches=True)
