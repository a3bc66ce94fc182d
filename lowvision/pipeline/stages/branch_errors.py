"""Measure the error that each frozen branch leaves on training tiles, once, and train a classifier to predict it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import data

from lowvision.data.tiles import Grid, TileExtractor
from lowvision.errors import RunError
from lowvision.models import weights
from lowvision.pipeline.core_stages import ClassifierStage
from lowvision.pipeline.stages import validation
from lowvision.pipeline.stages.job import Job
from lowvision.routing.container import RoutedContainer
from lowvision.system.atomic import whole
from lowvision.training import batch_norm
from lowvision.training.log import Value
from lowvision.training.loop import TrainingSpec, fit
from lowvision.training.objective import ErrorObjective

FILE = "errors.npz"
BATCH = 16
"""Tiles that go through a branch at a time."""


@dataclass(frozen=True)
class TileErrors(data.Dataset[tuple[Tensor, Tensor]]):
    """Tiles with the error of each branch; sample n follows from (seed, n), flips and quarter turns included."""

    extractor: TileExtractor
    """Extractor of tiles with context around them."""
    context: int
    """LQ pixels of context on each side."""
    coords: np.ndarray
    """(N,3) photograph, top and left of each tile with its context."""
    errors: np.ndarray
    """(N,M) mean squared errors."""
    seed: int

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """lq (C,size,size) in [0,1], and errors (M,)."""
        draw = np.random.default_rng((self.seed, number))
        n = int(draw.integers(len(self.coords)))
        lq = inner(self.pair(n)[0], self.context)
        lq = torch.rot90(lq, int(draw.integers(4)), (1, 2))
        return (lq.flip(2) if draw.integers(2) else lq).contiguous(), torch.from_numpy(self.errors[n])

    def pair(self, n: int) -> tuple[Tensor, Tensor]:
        """lq and gt of tile n with its context; a random degradation is the same at every call."""
        photograph, top, left = self.coords[n].tolist()
        return self.extractor.fixed((photograph, top, left), self.seed + n)


def train(job: Job, options: ClassifierStage, container: RoutedContainer) -> None:
    """Train the classifier of `container` on measured errors; leaves the container in `classifier/`."""

    def keep(path: Path, trained: nn.Module, measured: dict[str, Value]) -> None:
        weights.save(path, trained, job.deployed, job.registry, measured, job.provenance)

    samples = _measured(job, options, container)
    classifier = job.recipe.classifier
    assert classifier is not None
    tiles = torch.stack([inner(samples.pair(n)[0], samples.context) for n in range(min(64, len(samples.coords)))])
    errors = torch.from_numpy(samples.errors)
    classifier.fit(container.classifier, tiles, -10 * errors.clamp_min(1e-10).log10())
    container = batch_norm.shared(container, job.accelerator)
    container.branches.requires_grad_(False)
    selection = job.selection(options)
    validator = validation.of_container(job, selection)
    objective = ErrorObjective(container)
    spec = TrainingSpec("classifier", objective, container, validator, keep, selection=selection)
    job.claim_training(job.folder / "classifier")
    fit(spec, samples, options, job.accelerator, job.folder / "classifier", job.log, job.recipe.data.workers)


def inner(lq: Tensor, context: int) -> Tensor:
    """A tile (C,h,w) without its context."""
    return lq[:, context : lq.shape[1] - context, context : lq.shape[2] - context]


def _measured(job: Job, options: ClassifierStage, container: RoutedContainer) -> TileErrors:
    """The errors of this run, read from its folder or measured by all processes together."""
    extractor = job.extractor("train")
    context = extractor.size // 4
    wide = replace(extractor, size=extractor.size + 2 * context)
    grid = Grid(wide.photographs, wide.size, extractor.size // 2)
    numbers = np.random.default_rng(job.recipe.seed).permutation(len(grid))[: options.error_tiles]
    coords = np.array([grid.coords(int(number)) for number in numbers])
    photographs = [photograph.identity for photograph in extractor.photographs]
    path = job.folder / "classifier" / FILE
    if not path.exists():
        job.log.info(f"classifier: measures {len(container.branches)} branches on {len(coords)} tiles")
        samples = TileErrors(wide, context, coords, np.zeros((len(coords), len(container.branches))), job.recipe.seed)
        errors = _errors(job, container, samples)
        if job.accelerator.is_main_process:
            job.claim(path)
            _write(path, coords, errors, photographs)
        job.accelerator.wait_for_everyone()
    arrays = job.arrays(path, ("photographs", "coords", "errors"))
    if arrays["photographs"].tolist() != photographs or not np.array_equal(arrays["coords"], coords):
        raise RunError("data.train has changed since branches were measured on it; run again with --restart")
    return TileErrors(wide, context, coords, arrays["errors"], job.recipe.seed)


@torch.no_grad()
def _errors(job: Job, container: RoutedContainer, samples: TileErrors) -> np.ndarray:
    """(N,M) mean squared errors inside the tiles, each process measuring its share."""
    accelerator, count = job.accelerator, len(samples.coords)
    branches = container.branches.to(accelerator.device).eval()
    scale = job.recipe.task.scale
    errors = torch.zeros(count, len(branches), device=accelerator.device)
    step = accelerator.num_processes * BATCH
    for start in range(accelerator.process_index * BATCH, count, step):
        pairs = [samples.pair(n) for n in range(start, min(start + BATCH, count))]
        lq, gt = (torch.stack(tensors).to(accelerator.device) for tensors in zip(*pairs, strict=True))
        edge = scale * samples.context
        for k, network in enumerate(branches.networks):
            if job.recipe.is_teacher(k):
                continue  # its output is the target
            difference = (network(lq).clamp(0, 1) - gt)[:, :, edge:-edge, edge:-edge]
            errors[start : start + len(pairs), k] = difference.square().mean(dim=(1, 2, 3))
    return accelerator.reduce(errors, "sum").cpu().numpy()


def _write(path: Path, coords: np.ndarray, errors: np.ndarray, photographs: list[str]) -> None:
    with whole(path) as part, part.open("wb") as file:
        np.savez(file, coords=coords, errors=errors, photographs=photographs)
