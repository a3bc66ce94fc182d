"""The work of one worker of `lowvision evaluate --cluster`: load the weights once, then measure one photograph each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from lowvision.commands import cluster_setup
from lowvision.commands.evaluate_request import EvaluateRequest
from lowvision.data import photographs
from lowvision.data.listing import Listed
from lowvision.errors import DataError, LowvisionError, UsageError
from lowvision.evaluation.measure import Evaluation
from lowvision.evaluation.results import ImageResult, measured
from lowvision.models.architecture import Architecture
from lowvision.plugins import registry as plugin_registry
from lowvision.system import devices


@dataclass(frozen=True)
class Planned:
    """A photograph to measure at all of its sizes, and their place in the report."""

    set_name: str
    number: int
    """Number of its first size in the set."""
    listed: Listed = field(compare=False)


Answer = tuple[ImageResult, ...] | LowvisionError
"""The results of a photograph by its sizes, or the error that ends the command."""


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs; sent to it once."""

    request: EvaluateRequest
    device: str
    weights: Mapping[str, bytes]
    """Content of the files of the weights by name."""
    folder: Path
    """Working folder of the command, where relative paths start."""
    threads: int
    shown: int
    """Photographs of each set whose pictures are returned."""
    example: Listed
    """A photograph that every worker must see."""

    def build(self) -> Callable[[Planned], Answer]:
        """Load the weights and return the function that measures. Raises LowvisionError."""
        cluster_setup.enter(self.folder, self.threads)
        _check_files(self.example)
        components = plugin_registry.load()
        request = replace(self.request, weights=cluster_setup.local_weights(self.request.weights, self.weights))
        loaded = request.load(components)
        try:
            evaluation = request.evaluation(loaded, components, torch.device(devices.choose(self.device)))
        except DataError as error:  # of the photographs to which classifiers are fitted
            raise DataError(f"{cluster_setup.place()}: {error}") from None
        evaluation.warm_up()
        return lambda planned: answer(planned, evaluation, loaded.architecture, self.shown)


def answer(planned: Planned, evaluation: Evaluation, architecture: Architecture, shown: int) -> Answer:
    """Measure a photograph at all of its sizes; an error is returned, since Ray would wrap it in a traceback."""
    try:
        _check_files(planned.listed)
        sizes = photographs.load_one(planned.listed, architecture.task)
        if issue := evaluation.without_measure(sizes):
            raise DataError(issue)
        numbered = enumerate(sizes, planned.number)
        return tuple(measured(evaluation, architecture, each, number, number < shown) for number, each in numbered)
    except LowvisionError as error:
        return error


def _check_files(listed: Listed) -> None:
    """Raise UsageError unless this machine has the files of a photograph."""
    missing = next((path for path in listed.files if not path.is_file()), None)
    if missing is not None:
        raise UsageError(
            f"{cluster_setup.place()}: does not see {missing}; put the photographs into a folder that all machines "
            "share, at the same path"
        )
