"""Fast runs and untrained weights for tests: real photographs and plugins, very small networks."""

from __future__ import annotations

import gc
import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lowvision.imaging import io
from lowvision.models import weights
from lowvision.models.architecture import Architecture, Tile
from lowvision.plugins import registry
from lowvision.recipe import reading

RECIPE = """
task: {sr: {scale: 2}}
backbone: {fsrcnn: {channels: 12, shrink: 4, layers: 1, skip: bicubic}}
reduce: {channels: [4, 8, 12]}
classifier: class_module
tile: {size: 16, overlap: 4}
data: {train: PHOTOS/train, valid: PHOTOS/valid, test: PHOTOS/valid, valid_tiles: 8, workers: 0}
stages:
  base: {steps: 6, batch: 4, checkpoint_every: 2, valid_every: 3, log_every: 2}
  rank: {limit: 60}
  branches: {steps: 4, batch: 4, checkpoint_every: 2, valid_every: 2, log_every: 2}
  classifier: {ranked_steps: 4, steps: 4, batch: 6, checkpoint_every: 2, valid_every: 2, log_every: 2}
  joint: {steps: 4, batch: 6, micro_batch: 3, ema: 0.9, checkpoint_every: 2, valid_every: 2, log_every: 2}
"""


def write_photographs(folder: Path) -> None:
    """Write crops of the sample photographs: three for training, one for validation."""
    provided = registry.load()["datasets"]
    samples = [p.gt for name in ("samples_train", "samples_test") for p in provided[name].component().photos()]
    (folder / "train").mkdir(parents=True)
    (folder / "valid").mkdir()
    for n, path in enumerate(samples[:3]):
        io.write(folder / "train" / f"{n}.png", io.Image(io.read_rgb(path)[100:180, 100:196]))
    io.write(folder / "valid" / "seen.png", io.Image(io.read_rgb(samples[-1])[100:164, 100:150]))


def write_recipe(folder: Path) -> Path:
    """Write the recipe and its photographs to `folder`."""
    write_photographs(folder / "photos")
    path = folder / "tiny.yml"
    path.write_text(RECIPE.replace("PHOTOS", str(folder / "photos")))
    return path


def shortened(photographs: Path) -> tuple[str, ...]:
    """Return overrides by which a DnCNN recipe runs all stages within seconds, on photographs written here."""
    fit = "steps: 2, checkpoint_every: 2, valid_every: 2, log_every: 1"
    routed = f"batch: 6, micro_batch: 3, {fit}"
    return (
        f"data={{train: {photographs}/train, valid: {photographs}/valid, test: {photographs}/valid, workers: 0}}",
        "data.valid_tiles=4",
        "backbone.dncnn={channels: 12, layers: 3}",
        "reduce={channels: [4, 8, 12]}",
        f"stages.base={{batch: 4, {fit}}}",
        "stages.rank={limit: 30}",
        f"stages.branches={{batch: 4, {fit}}}",
        f"stages.classifier={{ranked_steps: 2, {routed}}}",
        f"stages.joint={{{routed}}}",
    )


def architecture(channels: int = 3, scale: int = 2) -> Architecture:
    """Return three small branches and a classifier."""
    known = registry.load()

    def pick(kind: str, name: str, **options: Any) -> Any:
        return known.find(kind, name).component(**options)

    return Architecture(
        task=pick("tasks", "sr", scale=scale, channels=channels),
        branches=tuple(
            pick("backbones", "fsrcnn", channels=width, shrink=4, layers=1, skip="bicubic") for width in (4, 8, 12)
        ),
        classifier=pick("classifiers", "class_module"),
        tile=Tile(size=16, overlap=4),
    )


def write_weights(path: Path, network_architecture: Architecture, seed: int = 0) -> Path:
    """Write the initial weights of an architecture, which are reproducible."""
    torch.manual_seed(seed)
    network = network_architecture.build()
    weights.save(path, network, network_architecture, registry.load(), {})
    return path


def run(recipe: Path, folder: Path, *overrides: str, restart: bool = False) -> None:
    """Run the recipe in this process."""
    from lowvision.pipeline.run import run

    known = registry.load()
    run(reading.read(recipe, known, overrides), known, recipe, folder, restart, "cpu")


PRELOADED = (
    "accelerate",
    "albumentations",
    "lowvision.evaluation.measure",
    "lowvision.pipeline.run",
    "lowvision.report.page",
    "lowvision.training.loop",
    "timm.optim",
    "timm.scheduler",
    "timm.utils",
    "torch._dynamo",
)
"""Modules that a run imports; importing them in every child would take longer than training these networks."""


def in_a_child(work: Callable[..., None], *arguments: object) -> int:
    """Call `work` in a child process, which may be killed, and return the exit code.

    The child is forked from a process that imported torch but never used it: torch threads do not survive a fork, and
    waiting for them never ends.
    """
    (code,) = _in_children(work, arguments, [{}])
    return code


def in_two_processes(work: Callable[..., None], *arguments: object) -> list[int]:
    """Call `work` in two processes started as by torchrun, and return their exit codes."""
    return in_processes(2, work, *arguments)


def in_processes(count: int, work: Callable[..., None], *arguments: object) -> list[int]:
    """Call `work` in several processes started as by torchrun, and return their exit codes."""
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        port = any_port.getsockname()[1]
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    together["LOCAL_WORLD_SIZE"] = str(count)
    return _in_children(
        work, arguments, [{**together, "RANK": rank, "LOCAL_RANK": rank} for rank in map(str, range(count))]
    )


def _in_children(
    work: Callable[..., None], arguments: tuple[object, ...], surroundings: list[dict[str, str]]
) -> list[int]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    children = [context.Process(target=_by_itself, args=(work, arguments, own)) for own in surroundings]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [code for child in children if (code := child.exitcode) is not None]


def _by_itself(work: Callable[..., None], arguments: tuple[object, ...], surroundings: dict[str, str]) -> None:
    gc.freeze()  # Accelerate collects after each stage: pass over what was loaded before the fork
    os.environ.update(surroundings)
    torch.set_num_threads(1)  # as in conftest.py
    work(*arguments)


def die() -> None:
    """Kill this process by SIGKILL, without cleanup."""
    os.kill(os.getpid(), 9)
