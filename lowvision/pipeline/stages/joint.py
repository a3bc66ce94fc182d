"""The stage `joint`: train classifier and branches together."""

from __future__ import annotations

from lowvision.errors import RunError
from lowvision.models import weights
from lowvision.pipeline.core_stages import Joint
from lowvision.pipeline.stages import container, tile_sizes
from lowvision.pipeline.stages.job import Job
from lowvision.plugins.contracts import Backbone
from lowvision.routing.container import RoutedContainer


def run(job: Job, options: Joint) -> None:
    """Write the weights of the container to `joint/`."""
    samples = tile_sizes.everywhere(job, options, "joint")
    container.train(job, "joint", options, _initial(job, options), frozen_branches=False, samples=samples)


def _initial(job: Job, options: Joint) -> RoutedContainer:
    """Return the container of a file or of the earlier stages, with branches in the form that is trained."""
    classified = job.container_weights()
    if options.start or classified is None or job.deployed == job.architecture:
        path = job.weights_path(options.start) if options.start else classified
        return weights.load_container(path, job.architecture, job.registry) if path else _assembled(job)
    # The container of the earlier stage has branches in the deployed form, which cannot be trained further.
    start = _assembled(job)
    trained = weights.load_container(classified, job.deployed, job.registry)
    start.classifier.load_state_dict(trained.classifier.state_dict())
    return start


def _assembled(job: Job) -> RoutedContainer:
    """Return the container of the branches of earlier stages. Raises RunError if a training form is missing."""
    missing = [k for k, branch in enumerate(job.recipe.branches) if _is_lost(job, k, branch.backbone)]
    if job.recipe.stages.classifier and missing:
        raise RunError(
            f"joint: branch {missing[0]} is trained in another form than it is deployed in, and no stage or file has "
            "weights of that form; add stages.branches, or name a container of the training form as joint.start"
        )
    return container.assembled(job, training=True)


def _is_lost(job: Job, k: int, backbone: Backbone) -> bool:
    """Return True if only the deployed form of a branch has weights: in the container that a stage started from."""
    return backbone.deployed() != backbone and job.branch_weights(k) is None
