"""PSNR of a trained container's branches on data.valid under other classifiers, trained on the same ranked tiles.

    python benchmarks/classifiers.py RUN STEPS CLASSIFIER...

RUN is a finished run; its rank and joint/best.safetensors are read, not changed. CLASSIFIER has recipe syntax:
class_module, or "timm: {model: lcnet_050}". Each classifier starts from initial weights, trains on the ranking's
classes for STEPS steps with the recipe's batch and ranked_lr, and then classifies the same tiles. They are compared at
equal cost, classifier included, with budgets as in `restore --budget`. PSNR is that of the mean squared error of all
tiles, since a mean of PSNR would overweight flat tiles. Cost is in 10^6 multiply-adds per tile.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from lowvision.config import yaml_reader
from lowvision.data.tiles import fixed_tiles
from lowvision.imaging.metrics import psnr
from lowvision.models import weights
from lowvision.pipeline.stages import classifier as stage
from lowvision.pipeline.stages.job import Job
from lowvision.plugins import registry
from lowvision.plugins.choice import choose
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.routing import budget, cost
from lowvision.routing.container import RoutedContainer
from lowvision.training.log import Log

TILES = 256
"""Number of tiles of data.valid, which do not overlap."""
SHARES = (0.5, 0.6, 0.7, 0.8)
"""Budgets at which classifiers are compared, as fractions of the base's cost per tile."""


def main() -> None:
    run, steps, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    known = registry.load()
    trained = weights.load_container(
        path := run / "joint" / "best.safetensors", _architecture(path, known), known
    ).eval()
    job = _job(run, run, str(yaml_reader.read(run / "recipe.resolved.yml").value["classifier"]), known)
    lq, gt = fixed_tiles(job.extractor("valid"), TILES, job.recipe.seed)
    errors = torch.stack([_errors(branch, lq, gt) for branch in trained.branches.networks], dim=1).numpy()  # (N, M)
    costs = np.array(trained.branches.costs(tuple(lq.shape[1:]))) / 1e6
    alone = " ".join(f"{_decibels(errors[:, k])} at {cost:.1f}" for k, cost in enumerate(costs))
    print(f"{len(lq)} tiles; each branch on all of them: {alone}")
    _print_row("as in the run", trained, lq, errors, costs)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(run / "rank", Path(folder) / "rank")
            _print_row(
                name, _with_trained_classifier(_job(run, Path(folder), name, known), trained, steps), lq, errors, costs
            )


def _architecture(path: Path, known: Registry):  # type: ignore[no-untyped-def]  # an Architecture
    return weights.read_header(path, known).architecture


def _job(run: Path, folder: Path, classifier: str, known: Registry) -> Job:
    """Return a job of the run's recipe with another classifier and folder."""
    recipe = reading.read(run / "recipe.resolved.yml", known)
    choice = yaml_reader.parse(classifier, "classifier").value
    recipe = recipe.replace(classifier=choose("classifiers", choice, known))
    return Job(recipe, known, Accelerator(cpu=True), folder, Log(folder, False))


def _with_trained_classifier(job: Job, trained: RoutedContainer, steps: int) -> RoutedContainer:
    """Return the container with a new classifier, trained on the ranking."""
    torch.manual_seed(job.recipe.seed)
    container = job.architecture.build_container()
    container.branches.load_state_dict(trained.branches.state_dict())
    options = job.recipe.stages.classifier
    assert options is not None
    stage._learn_ranking(job, options.replace(ranked_steps=steps), container)
    return weights.load_container(job.folder / stage.RANKED / "last.safetensors", job.architecture, job.registry).eval()


@torch.no_grad()
def _errors(network: torch.nn.Module, lq: torch.Tensor, gt: torch.Tensor) -> torch.Tensor:
    """Return (N,) the mean squared error of each tile."""
    pairs = zip(lq.split(16), gt.split(16), strict=True)
    return torch.cat([10 ** (-psnr(network(some), truth) / 10) for some, truth in pairs])


def _decibels(errors: np.ndarray) -> str:
    return f"{-10 * np.log10(errors.mean()):.3f}"


@torch.no_grad()
def _print_row(name: str, container: RoutedContainer, lq: torch.Tensor, errors: np.ndarray, costs: np.ndarray) -> None:
    logits = torch.cat([container.classify(some) for some in lq.split(64)]).numpy()
    own = cost.multiply_adds(container.classifier, (1, *lq.shape[1:])) / 1e6
    tiles = np.arange(len(lq))

    def at(choice: np.ndarray) -> str:
        return f"{_decibels(errors[tiles, choice])} dB at {costs[choice].mean() + own:.1f}"

    budget_path = budget.pareto_path(logits, np.log(costs))
    cells = []
    for share in SHARES:
        choices = (budget_path.after(n) for n in range(len(budget_path.tiles), -1, -1))
        within = (choice for choice in choices if costs[choice].mean() + own <= share * costs[-1])
        cells.append(next((_decibels(errors[tiles, choice]) for choice in within), "-"))
    print(
        f"{name}: itself {own:.2f}; undirected {at(logits.argmax(axis=1))}; at {SHARES} of the base {' '.join(cells)}"
    )


if __name__ == "__main__":
    main()
