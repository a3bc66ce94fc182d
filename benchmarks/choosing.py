"""Compare classifiers that route tiles of photographs to the branches of a container, at equal cost.

    python benchmarks/choosing.py WEIGHTS PHOTOS [CLASSIFIER...]

WEIGHTS is a file or the name of shipped weights. PHOTOS is a data set in recipe syntax: use `data.valid` of the
weights' recipe, since this table selects the classifier of shipped weights, and test sets must not be used for
selection. Training-free classifiers are fitted on one half of the tiles; all classifiers are evaluated on the other
half: those of the plugins, and each CLASSIFIER in recipe syntax, e.g. `high_frequency: {split: means}`. Budgets work as
in `restore --budget`; costs are fractions of the tiled base and include the classifier. PSNR (RGB) is the mean over
photographs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.config import yaml_reader
from lowvision.data import photographs
from lowvision.data.tiles import Grid, TileExtractor
from lowvision.evaluation import fitting
from lowvision.imaging.metrics import psnr
from lowvision.models import pretrained, weights
from lowvision.plugins import registry
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Classifier, Dataset
from lowvision.plugins.registry import Registry
from lowvision.routing import budget, cost
from lowvision.routing.container import Branches

TILES = 1024
"""Number of tiles, which do not overlap; every other tile is for fitting, the rest for evaluation."""
SHARES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Budgets, as fractions of the cost of the base on every tile."""

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    known = registry.load()
    path = pretrained.find(Path(sys.argv[1]), known)
    architecture = weights.read_header(path, known).architecture
    container = weights.load_container(path, architecture, known).eval()
    photos = cast(Dataset, choose("datasets", yaml_reader.parse(sys.argv[2], "PHOTOS").value, known))
    extractor = TileExtractor(photographs.load(photos, architecture.task), architecture.task, architecture.tile.size)
    lq, gt, photograph = _tiles(extractor)
    reached = _branch_psnr(container.branches, lq, gt)  # (N, M)
    fitting_tiles, evaluated = fitting.FittingTiles(lq[::2], reached[::2]), lq[1::2]
    errors, of = (10 ** (-reached[1::2] / 10)).numpy(), photograph[1::2]
    costs = np.array(container.branches.costs(tuple(lq.shape[1:])))
    alone = "  ".join(f"{_decibels(errors[:, k], of):.3f}" for k in range(len(costs)))
    print(f"{len(evaluated)} tiles of {len(set(of))} photographs; each branch on all of them: {alone}")
    print(f"{'':32}" + "".join(f"{share:>9.0%}" for share in SHARES) + "   undirected")
    if architecture.classifier and architecture.classifier.trained:
        _print_row("as in the file", architecture.classifier, container.classifier, evaluated, errors, of, costs)
    for name, classifier in _untrained(known):
        _print_row(
            name, classifier, fitting.fitted(classifier, architecture, fitting_tiles), evaluated, errors, of, costs
        )
    lots = np.random.default_rng(0).normal(size=(len(evaluated), 1)) * np.arange(len(costs))
    for name, scores in {"by lot": lots, "oracle": -errors}.items():
        steps = budget.pareto_path(scores, budget.shares_of_largest_cost(costs))
        steps = steps.worthwhile() if name == "oracle" else steps
        print(f"{name:32}" + "".join(f"{_within(steps, share, 0, errors, of, costs):>9}" for share in SHARES))


def _untrained(known: Registry) -> Iterator[tuple[str, Classifier]]:
    yield from fitting.untrained(known)
    for choice_text in sys.argv[3:]:
        yield (
            choice_text,
            cast(Classifier, choose("classifiers", yaml_reader.parse(choice_text, "CLASSIFIER").value, known)),
        )


def _tiles(extractor: TileExtractor) -> tuple[Tensor, Tensor, Numbers]:
    """Return lq, gt, and the index of each tile's photograph."""
    grid = Grid(extractor.photographs, extractor.size, extractor.size)
    coords_list = [grid.coords(int(number)) for number in np.random.default_rng(0).permutation(len(grid))[:TILES]]
    pairs = [extractor.fixed(coords, n) for n, coords in enumerate(coords_list)]
    lq, gt = (torch.stack(part) for part in zip(*pairs, strict=True))
    return lq, gt, np.array([coords[0] for coords in coords_list])


@torch.no_grad()
def _branch_psnr(branches: Branches, lq: Tensor, gt: Tensor) -> Tensor:
    """Return (N,M) the PSNR of each branch in dB."""
    pairs = list(zip(lq.split(16), gt.split(16), strict=True))
    columns = [torch.cat([psnr(branches.one(some, k), truth) for some, truth in pairs]) for k in range(len(branches))]
    return torch.stack(columns, dim=1)


@torch.no_grad()
def _print_row(
    name: str, classifier: Classifier, network: torch.nn.Module, lq: Tensor, errors: Array, of: Numbers, costs: Numbers
) -> None:
    scores = torch.cat([network(some) for some in lq.split(64)]).double().numpy()
    own = cost.multiply_adds(network, (1, *lq.shape[1:]))
    weigh = budget.logarithms if classifier.predicts == "class" else budget.shares_of_largest_cost
    steps = budget.pareto_path(scores, weigh(costs))
    cells = "".join(f"{_within(steps, share, own, errors, of, costs):>9}" for share in SHARES)
    choice = scores.argmax(axis=1)
    undirected = _decibels(errors[np.arange(len(of)), choice], of)
    print(f"{name:32}{cells}   {undirected:.3f} at {(costs[choice].mean() + own) / costs[-1]:.0%}")


def _within(steps: budget.ParetoPath, share: float, own: int, errors: Array, of: Numbers, costs: Numbers) -> str:
    """Return the PSNR at that fraction of the base's cost; a dash if even the cheapest branch exceeds it."""
    most = (share * costs[-1] - own) * len(of)
    choice, spent = budget.most_within(most, steps, lambda made: int(costs[made].sum()))
    return f"{_decibels(errors[np.arange(len(of)), choice], of):.3f}" if spent <= most else "-"


def _decibels(errors: Array, of: Numbers) -> float:
    """Return the mean over photographs of the PSNR of all their tiles."""
    return float(np.mean([-10 * np.log10(errors[of == number].mean()) for number in np.unique(of)]))


if __name__ == "__main__":
    main()
