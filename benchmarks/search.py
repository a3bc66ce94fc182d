"""Compare searched networks with networks of uniform widths: PSNR on data.test after the same training.

    python benchmarks/search.py RECIPE SEEDS [KEY=VALUE...]

The base of RECIPE is a supernet. For each of SEEDS seeds, the recipe's stage `base` trains it, and the selected network
is measured (`searched`). The same stage then trains from initial weights the selected architecture (`retrained`), and
a network of as many blocks with 3x3 kernels and uniform widths that costs at least as much (`uniform`): the cheapest
whose blocks are as wide inside as the features between them, or narrower by one or two. All are measured on the same
tiles. Cost is in multiply-adds per LQ pixel; PSNR is that of the mean squared error of all tiles.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from lowvision import Backbone
from lowvision.data.tiles import fixed_tiles
from lowvision.imaging.metrics import psnr
from lowvision.models import weights
from lowvision.pipeline.stages import base
from lowvision.pipeline.stages.job import Job
from lowvision.plugins import registry
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.recipe.models import Branch, Recipe
from lowvision.routing.cost import multiply_adds
from lowvision.training.log import Log
from lowvision_search import Block, Search, Searched, Supernet

TILES = 256
"""Number of tiles of data.test, which do not overlap."""


def main() -> None:
    path, seeds, overrides = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    known = registry.load()
    reached: dict[str, list[float]] = {"searched": [], "retrained": [], "uniform": []}
    for seed in range(seeds):
        recipe = reading.read(path, known, (*overrides, f"seed={seed}"))
        supernet = recipe.base
        assert isinstance(supernet, Supernet)
        network = _trained(recipe, known)
        searched = Search().reduce_trained(supernet, "found", network)
        small = searched.build(recipe.task)
        assert Search().inherit(network, small)
        equal = _uniform(supernet, _cost(searched, recipe), recipe)
        print(f"seed {seed}: wanted {supernet.cost:.1%}, found {_cost(searched, recipe) / _full(supernet, recipe):.1%}")
        print(f"  {searched!r}\n  {equal!r}", flush=True)
        for name, backbone, network_after in (
            ("searched", searched, small),
            ("retrained", searched, _trained(_of(searched, recipe), known)),
            ("uniform", equal, _trained(_of(equal, recipe), known)),
        ):
            reached[name].append(_decibels(network_after, recipe, known))
            print(f"  {name:10} {_cost(backbone, recipe):7} {reached[name][-1]:.3f} dB", flush=True)
    for name, values in reached.items():
        gain = np.mean(np.subtract(values, reached["uniform"]))
        print(f"{name:10} mean {np.mean(values):.3f} dB, {gain:+.3f} against uniform")


def _of(backbone: Backbone, recipe: Recipe) -> Recipe:
    """Return the recipe with another network."""
    return recipe.replace(branches=(Branch(backbone=backbone),))


def _trained(recipe: Recipe, known: Registry) -> torch.nn.Module:
    """Return the network after the recipe's stage `base`."""
    assert recipe.stages.base is not None
    with tempfile.TemporaryDirectory() as folder:
        job = _job(recipe, known, Path(folder))
        base.run(job, recipe.stages.base)
        return weights.load_network(Path(folder) / "base" / "last.safetensors", job.architecture.only(-1), known).eval()


def _job(recipe: Recipe, known: Registry, folder: Path) -> Job:
    return Job(recipe, known, Accelerator(cpu=True), folder, Log(folder, False))


def _uniform(supernet: Supernet, least: int, recipe: Recipe) -> Searched:
    """Return the cheapest network of uniform widths that costs at least `least`."""
    pairs = [(outer, outer - less) for outer in range(3, supernet.channels + 1) for less in range(3)]
    backbones = [
        Searched(channels=outer, blocks=(Block(channels=inner),) * supernet.layers, skip=supernet.skip)
        for outer, inner in pairs
    ]
    return min((b for b in backbones if _cost(b, recipe) >= least), key=lambda b: _cost(b, recipe))


def _full(supernet: Supernet, recipe: Recipe) -> int:
    block = Block(channels=supernet.channels)
    return _cost(Searched(channels=supernet.channels, blocks=(block,) * supernet.layers), recipe)


def _cost(backbone: Backbone, recipe: Recipe) -> int:
    with torch.device("meta"):
        return multiply_adds(backbone.build(recipe.task), (1, recipe.task.channels, 1, 1))


@torch.no_grad()
def _decibels(network: torch.nn.Module, recipe: Recipe, known: Registry) -> float:
    with tempfile.TemporaryDirectory() as folder:
        lq, gt = fixed_tiles(_job(recipe, known, Path(folder)).extractor("test"), TILES, seed=0)
    pairs = zip(lq.split(16), gt.split(16), strict=True)
    errors = torch.cat([10 ** (-psnr(network.eval()(some), truth) / 10) for some, truth in pairs])
    return -10 * np.log10(errors.mean().item())


if __name__ == "__main__":
    main()
