"""The stage `rank`: sort training tiles into classes by their PSNR under a trained network."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lowvision.data.tiles import Grid, Listed, TileExtractor
from lowvision.errors import RunError
from lowvision.imaging.metrics import psnr
from lowvision.models import weights
from lowvision.pipeline.core_stages import Rank
from lowvision.pipeline.stages.job import Job
from lowvision.system import devices
from lowvision.system.atomic import whole
from lowvision.training.batches import loaders

FILE, SUMMARY = "ranking.npz", "ranking.json"


@dataclass(frozen=True)
class Ranking:
    """Tiles and their difficulty: class 0 is the simplest, M-1 the hardest."""

    coords_list: np.ndarray
    """(N,3) photograph, top and left of each tile."""
    psnr: np.ndarray
    """(N,) in dB."""
    classes: np.ndarray
    """(N,) 0 .. M-1."""

    def of_class(self, k: int) -> Listed:
        """Return the tiles of class k."""
        return Listed(self.coords_list[self.classes == k])

    def resized(self, ranked: TileExtractor, extractor: TileExtractor) -> Ranking:
        """Return the ranking for tiles of another size around the same centres, as far as the photographs allow.

        ranked: cuts the tiles that were ranked. Photographs that are too small for the new size are left out.
        """
        if extractor.size == ranked.size:
            return self
        index = {photograph.name: number for number, photograph in enumerate(extractor.photographs)}
        numbers = np.array([index.get(photograph.name, -1) for photograph in ranked.photographs])
        kept = numbers[self.coords_list[:, 0]] >= 0
        photographs = numbers[self.coords_list[kept, 0]]
        last = np.array([photograph.lq_size for photograph in extractor.photographs])[photographs] - extractor.size
        corners = self.coords_list[kept, 1:] + (ranked.size - extractor.size) // 2
        coords_list = np.column_stack([photographs, corners.clip(0, last)])
        return Ranking(coords_list, self.psnr[kept], self.classes[kept])


@dataclass(frozen=True)
class GridTiles(Dataset[tuple[Tensor, Tensor]]):
    """Selected tiles of a grid; a random degradation follows from the seed and the number of the tile."""

    extractor: TileExtractor
    grid: Grid
    numbers: np.ndarray
    """(N,) numbers of the tiles in the grid."""
    seed: int

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        number = int(self.numbers[index])
        return self.extractor.fixed(self.grid.coords(number), self.seed + number)


def run(job: Job, options: Rank) -> None:
    """Write the ranking to `rank/`."""
    path = job.weights_path(options.weights) if options.weights else job.base_weights()
    if path is None:
        raise RunError("stages.rank: the recipe has no trained base; add stages.base, or give rank.weights")
    network = weights.load_network(path, job.deployed.only(-1), job.registry)
    extractor = job.extractor("train")
    grid = Grid(extractor.photographs, extractor.size, options.stride or extractor.size // 2)
    numbers = _selected(len(grid), options.limit, job.recipe.seed)
    branches = len(job.recipe.branches)
    if len(numbers) < branches:
        raise RunError(
            f"stages.rank: {len(numbers)} tiles cannot be sorted into {branches} classes; raise limit, or add data"
        )
    measured = _measure(network, extractor, grid, numbers, options.batch, job)
    if job.accelerator.is_main_process:
        _write(job, extractor, [grid.coords(int(n)) for n in numbers], measured)
    job.accelerator.wait_for_everyone()


def read(job: Job, extractor: TileExtractor) -> Ranking:
    """Read the ranking of this run. Raises RunError if the photographs have changed since."""
    arrays = job.arrays(job.folder / "rank" / FILE, ("spots", "psnr", "classes", "photographs"))
    if arrays["photographs"].tolist() != _names(extractor):
        raise RunError("data.train has changed since its tiles were ranked; run again with --restart")
    return Ranking(arrays["spots"], arrays["psnr"], arrays["classes"])


def classes_of(psnrs: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each tile (N,) and the thresholds between classes in dB, in descending order.

    A tile with a higher PSNR is simpler. All classes have the same number of tiles, even if many PSNRs are equal.
    """
    order = np.argsort(-psnrs, kind="stable")
    numbers = np.empty(len(psnrs), dtype=np.int64)
    numbers[order] = np.arange(len(psnrs)) * classes // len(psnrs)
    firsts = [-(-k * len(psnrs) // classes) for k in range(1, classes)]
    return numbers, psnrs[order][firsts]


def _selected(count: int, limit: int | None, seed: int) -> np.ndarray:
    if limit is None or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


@torch.no_grad()
def _measure(
    network: nn.Module, extractor: TileExtractor, grid: Grid, numbers: np.ndarray, batch: int, job: Job
) -> np.ndarray:
    """Return the PSNR (N,) of every tile; each process measures its share."""
    device = job.accelerator.device
    network = network.to(memory_format=devices.layout(device)).to(device).eval()
    measured = torch.zeros(len(numbers), device=device)
    starts = range(job.accelerator.process_index * batch, len(numbers), job.accelerator.num_processes * batch)
    batches = [list(range(start, min(start + batch, len(numbers)))) for start in starts]
    workers = loaders(job.accelerator) if job.recipe.data.workers is None else job.recipe.data.workers
    loader = DataLoader(
        GridTiles(extractor, grid, numbers, job.recipe.seed),
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),
    )
    for start, (lq, gt) in zip(starts, loader, strict=True):
        tiles = lq.to(device, memory_format=devices.layout(device), non_blocking=True)
        measured[start : start + batch] = psnr(network(tiles), gt.to(device, non_blocking=True))
    return job.accelerator.reduce(measured, "sum").cpu().numpy()


def _write(job: Job, extractor: TileExtractor, coords_list: list[tuple[int, int, int]], measured: np.ndarray) -> None:
    classes, thresholds = classes_of(measured, len(job.recipe.branches))
    folder = job.folder / "rank"
    job.claim(folder / FILE, folder / SUMMARY)
    with whole(folder / FILE) as part, part.open("wb") as file:
        np.savez(file, spots=np.array(coords_list), psnr=measured, classes=classes, photographs=_names(extractor))
    summary = {
        "tiles": len(coords_list),
        "thresholds_db": [round(float(t), 3) for t in thresholds],
        "tiles_of_class": np.bincount(classes, minlength=len(job.recipe.branches)).tolist(),
    }
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2))
    job.log.info(f"rank: {summary['tiles']} tiles; thresholds {summary['thresholds_db']} dB")


def _names(extractor: TileExtractor) -> list[str]:
    """List the photographs by content and treatment."""
    return [photograph.identity for photograph in extractor.photographs]
