"""Training tiles of the sizes that a stage sets for itself, in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from lowvision.data.tiles import Grid, Successive, TileExtractor
from lowvision.pipeline.stages.job import Job

Pairs = Dataset[tuple[Tensor, Tensor]]


def in_turn(job: Job, options: Any, samples: Callable[[TileExtractor], Pairs]) -> Pairs:
    """Return the training tiles of a stage with the option `tile`, of one size, or of several sizes in turn.

    samples: returns the tiles of an extractor, i.e. of one size.
    """
    each = tuple(samples(job.extractor("train", size)) for size in options.tiles or (job.recipe.tile.size,))
    return each[0] if len(each) == 1 else Successive(each, options.steps, options.batch)


def everywhere(job: Job, options: Any, purpose: str, candidates: int = 1) -> Pairs:
    """Return training tiles from all positions; `purpose` seeds the random draw."""

    def samples(extractor: TileExtractor) -> Pairs:
        return job.samples(
            extractor, Grid(extractor.photographs, extractor.size, stride=1), purpose, candidates, defers=True
        )

    return in_turn(job, options, samples)
