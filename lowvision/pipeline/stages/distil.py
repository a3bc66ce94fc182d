"""The stage `distil`: train each branch without weights to imitate the teacher, on all tiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from lowvision.errors import WeightsError
from lowvision.pipeline import weights_options
from lowvision.pipeline.core_stages import Distil
from lowvision.pipeline.stages import network, tile_sizes
from lowvision.pipeline.stages.job import Job
from lowvision.training.log import Value
from lowvision.training.selection import Selection


def run(job: Job, options: Distil) -> None:
    """Write the weights of each student k to `distil/k/`; the data have the outputs of the teacher as gt.

    A student that training has made worse on data.valid keeps the weights that it started from.
    """
    selection = job.selection(options)
    for n, k in enumerate(job.recipe.students):
        stage, architecture, own = f"distil/{k}", job.architecture.only(k), options.of(n)
        samples = tile_sizes.everywhere(job, own, stage, options.candidates)
        file, student = _initial(job, options, k)
        before = _result(network.measured(job, architecture, own, student), selection) if file else None
        after = _result(network.train(job, stage, architecture, own, samples, student), selection)
        if before is not None and after is not None and selection.score(after) < selection.score(before):
            job.log.info(
                f"{stage}: {selection.name} on data.valid was {before:.2f} before training and is {after:.2f}; the "
                f"student keeps the weights of {file}; a lower lr or more photographs may help"
            )
            network.keep(job, stage, architecture, own, network.initialised(job, architecture, file))


def _initial(job: Job, options: Distil, k: int) -> tuple[Path | None, nn.Module]:
    """Return the first file of `start` that holds student k, and its network; without a file, with random weights."""
    architecture, names = job.architecture.only(k), [name for _, name in weights_options.files_of(options)]
    for file in map(job.weights_path, names):
        try:
            return file, network.initialised(job, architecture, file)
        except WeightsError:
            continue
    if names:
        job.log.info(f"distil/{k}: not in {' or '.join(names)}; the student starts from random weights")
    return None, network.initialised(job, architecture, None)


def _result(metrics: Mapping[str, Value], selection: Selection) -> float | None:
    """Return the metric that selects weights; None without data.valid."""
    value = metrics.get(selection.name)
    return value if isinstance(value, float) else None
