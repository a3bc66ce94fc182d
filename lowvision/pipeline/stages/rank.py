"""The stage `rank`: sorts training tiles into classes by their PSNR under a trained network."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lowvision.data.tiles import Grid, Listed, TileExtractor
from lowvision.errors import RunError
from lowvision.imaging.metrics import psnr
from lowvision.models import weights
from lowvision.pipeline.stages.job import Job
from lowvision.recipe.stages import Rank

FILE = "ranking.npz"


@dataclass(frozen=True)
class Ranking:
    """Tiles and how hard each is: class 0 the simplest, M-1 the hardest."""

    coords_list: np.ndarray
    """(N,3) photograph, top and left of each tile."""
    psnr: np.ndarray
    """(N,) in dB."""
    classes: np.ndarray
    """(N,) 0 .. M-1."""

    def of_class(self, k: int) -> Listed:
        """The tiles of class k."""
        return Listed(self.coords_list[self.classes == k])


def run(job: Job, options: Rank) -> None:
    """Leaves the ranking in `rank/`."""
    path = job.named(options.weights) if options.weights else job.base_weights()
    if path is None:
        raise RunError("stages.rank: there is no trained base to rank by; add stages.base, or give rank.weights")
    network = weights.load_network(path, job.architecture.only(-1), job.registry)
    extractor = job.extractor("train")
    grid = Grid(extractor.photographs, extractor.size, options.stride or extractor.size // 2)
    numbers = _drawn(len(grid), options.limit, job.recipe.seed)
    branches = len(job.recipe.branches)
    if len(numbers) < branches:
        raise RunError(f"stages.rank: {len(numbers)} tiles cannot be of {branches} classes; raise limit, or add data")
    measured = _measure(network, extractor, grid, numbers, options.batch, job)
    if job.accelerator.is_main_process:
        _write(job, extractor, [grid.coords(int(n)) for n in numbers], measured)
    job.accelerator.wait_for_everyone()


def read(job: Job, extractor: TileExtractor) -> Ranking:
    """The ranking of this run. Raises RunError where the photographs are not those that were ranked."""
    with np.load(job.folder / "rank" / FILE) as file:
        if file["photographs"].tolist() != _names(extractor):
            raise RunError("data.train has changed since its tiles were ranked; run again with --restart")
        return Ranking(file["spots"], file["psnr"], file["classes"])


def classes_of(psnrs: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Class of each tile (N,) and the thresholds in dB between classes, from the hardest down to the simplest.

    A higher PSNR is a simpler tile. The classes hold equally many tiles, also where many are equal.
    """
    order = np.argsort(-psnrs, kind="stable")
    found = np.empty(len(psnrs), dtype=np.int64)
    found[order] = np.arange(len(psnrs)) * classes // len(psnrs)
    firsts = [-(-k * len(psnrs) // classes) for k in range(1, classes)]
    return found, psnrs[order][firsts]


def _drawn(count: int, limit: int | None, seed: int) -> np.ndarray:
    if limit is None or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


@torch.no_grad()
def _measure(
    network: nn.Module, extractor: TileExtractor, grid: Grid, numbers: np.ndarray, batch: int, job: Job
) -> np.ndarray:
    """PSNR (N,) of every tile, each process doing its share."""
    device = job.accelerator.device
    network = network.to(memory_format=torch.channels_last).to(device).eval()
    found = torch.zeros(len(numbers), device=device)
    for start in range(job.accelerator.process_index * batch, len(numbers), job.accelerator.num_processes * batch):
        some = numbers[start : start + batch]
        lq, gt = zip(*(extractor.fixed(grid.coords(int(n)), job.recipe.seed + int(n)) for n in some), strict=True)
        tiles = torch.stack(lq).to(device, memory_format=torch.channels_last)
        found[start : start + batch] = psnr(network(tiles), torch.stack(gt).to(device))
    return job.accelerator.reduce(found, "sum").cpu().numpy()


def _write(job: Job, extractor: TileExtractor, coords_list: list[tuple[int, int, int]], measured: np.ndarray) -> None:
    classes, thresholds = classes_of(measured, len(job.recipe.branches))
    folder = job.folder / "rank"
    folder.mkdir(exist_ok=True)
    partial = folder / f".{FILE}"
    with partial.open("wb") as file:
        np.savez(file, spots=np.array(coords_list), psnr=measured, classes=classes, photographs=_names(extractor))
    partial.replace(folder / FILE)
    summary = {
        "tiles": len(coords_list),
        "thresholds_db": [round(float(t), 3) for t in thresholds],
        "tiles_of_class": np.bincount(classes, minlength=len(job.recipe.branches)).tolist(),
    }
    (folder / "ranking.json").write_text(json.dumps(summary, indent=2))
    job.log.say(f"rank: {summary['tiles']} tiles; thresholds {summary['thresholds_db']} dB")


def _names(extractor: TileExtractor) -> list[str]:
    """The photographs by content: the cache names each file by all that it was made of."""
    return [photograph.gt_path.stem for photograph in extractor.photographs]
