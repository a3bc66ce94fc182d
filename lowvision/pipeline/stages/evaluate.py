"""The stage `evaluate`: measures what the stages before it left on `data.test`, which only this stage reads."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from lowvision import report
from lowvision.data.photographs import Photograph
from lowvision.data.tiles import fixed_tiles
from lowvision.evaluation import fitting
from lowvision.evaluation.fitting import Lesson
from lowvision.evaluation.measure import Evaluation, Rival, Seen, mean
from lowvision.imaging import io
from lowvision.inference import engines, route_map
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.pipeline.stages.job import Job
from lowvision.plugins.contracts import Adaptive
from lowvision.plugins.registry import Registry
from lowvision.recipe.stages import Evaluate
from lowvision.routing import networks
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine
from lowvision.routing.regions import Geometry
from lowvision.training.log import Log, read_metrics

SHOWN = ("input", "base_whole", "routed")
"""The ways whose pictures are kept."""


def run(job: Job, options: Evaluate) -> None:
    """Leaves the report in the run's folder, pictures in `evaluate/`."""
    found = job.photographs("test")
    if not found:
        job.log.say("evaluate: the recipe has no data.test; nothing is measured")
        return
    container = _container(job)
    base = _base(job, container)
    if base is None:
        job.log.say("evaluate: no stage of this recipe has trained anything; nothing is measured")
        return
    lesson = None
    if options.compare and container:
        branches, extractor = container.branches, job.extractor("valid")
        lesson = fitting.lesson(branches, extractor, job.recipe.seed, job.accelerator.device)
    evaluation = judge(
        job.architecture, base, container, options, job.registry, lesson, job.recipe.seed, job.accelerator.device
    )
    if evaluation.adaptive and options.budgets:
        tiles = fixed_tiles(job.extractor("valid"), job.recipe.data.valid_tiles, job.recipe.seed)
        evaluation = evaluation.spending(options.budgets, *tiles)
    sets = {_set_name(job): found}
    document = measure(
        evaluation, job.architecture, sets, options.pictures, job.accelerator, job.log, job.folder / "evaluate"
    )
    if job.accelerator.is_main_process:
        document = {"schema": 1, "task": job.registry.serialize(job.recipe.task), **document}
        report.write(job.folder, document, read_metrics(job.folder), job.folder / "evaluate")
        job.log.say(report.text(document))
    job.accelerator.wait_for_everyone()


def measure(
    judge: Evaluation,
    architecture: Architecture,
    sets: dict[str, tuple[Photograph, ...]],
    shown: int,
    accelerator: Accelerator,
    log: Log,
    pictures: Path,
) -> dict[str, Any]:
    """The report's `sets`: every image of every set in every way, images shared by all processes.

    Of the first `shown` images of a set pictures are kept. Where other classifiers are compared, `classifiers` tells
    what they are.
    """
    judge.warm_up()
    found = []
    for name, photographs in sets.items():
        own = range(accelerator.process_index, len(photographs), accelerator.num_processes)
        rows = []
        for number in own:
            seen = judge.see(photographs[number], number)
            rows.append((number, _image_row(seen)))
            log.say(_progress_line(seen, number, len(photographs)))
            _forget_pictures(pictures / name / seen.name)
            if number < shown:
                _keep_pictures(seen, pictures / name / seen.name, architecture)
        gathered = sorted(gather_object(rows), key=lambda numbered: numbered[0])
        everything = [row for _, row in gathered]
        ways = [{way: m for way, m in row.items() if isinstance(m, dict)} for row in everything]
        found.append({"name": name, "images": everything, "mean": mean(ways)})
    if not judge.rivals:
        return {"sets": found}
    return {"sets": found, "classifiers": {name: rival.about for name, rival in judge.rivals.items()}}


def judge(
    architecture: Architecture,
    base: nn.Module,
    container: RoutedContainer | None,
    options: Evaluate,
    registry: Registry,
    lesson: Lesson | None,
    seed: int,
    device: torch.device,
) -> Evaluation:
    """Everything that is measured. lesson: what other classifiers are fitted to, where they are to be compared."""
    # The base is run as a user would run it: plain eager, default memory format; but memory is kept for it as for ours.
    # It may be part of the container, so a copy is made.
    base = copy.deepcopy(base).to(memory_format=torch.contiguous_format).to(device).eval()
    alone = RoutedContainer(nn.Identity(), [base])
    task, tile = architecture.task, architecture.tile
    merged = engines.geometry(architecture)
    base_engine = Engine(
        networks.of(alone), task.scale, tile.size, tile.overlap, geometry=merged.alone, batch=options.batch
    )
    adaptive = {"adaptive": base} if isinstance(base, Adaptive) else {}
    of_base = Evaluation(task, base, None, base_engine, seed, device, adaptive=adaptive)
    if container is None:
        return of_base
    of_container = partial(engines.of_container, device=device, batch=options.batch)
    return replace(
        of_base,
        engine=of_container(container, architecture, geometry=merged.alone),
        rivals=None
        if lesson is None
        else _rivals(container, architecture, registry, lesson, of_container, merged.alone),
        merging=of_container(container, architecture, geometry=merged),
        budgets=options.budgets,
    )


def _rivals(
    container: RoutedContainer,
    architecture: Architecture,
    registry: Registry,
    lesson: Lesson,
    of_container: Callable[..., Engine],
    geometry: Geometry,
) -> dict[str, Rival]:
    """The same branches under every classifier that needs no training."""
    rivals = {}
    for name, classifier in fitting.untrained(registry):
        other = RoutedContainer(fitting.fitted(classifier, architecture, lesson), container.branches.networks)
        engine = of_container(other, architecture.replace(classifier=classifier), geometry=geometry)
        rivals[name] = Rival((type(classifier).__doc__ or name).partition("\n")[0], engine)
    return rivals


def _container(job: Job) -> RoutedContainer | None:
    path = job.container_weights()
    return weights.load_container(path, job.architecture, job.registry) if path else None


def _base(job: Job, container: RoutedContainer | None) -> nn.Module | None:
    """The base as trained alone; without such, the container's last branch."""
    path = job.base_weights()
    if path:
        return weights.load_network(path, job.architecture.only(-1), job.registry)
    return container.branches.networks[-1] if container else None


def _set_name(job: Job) -> str:
    dataset = job.recipe.data.test
    name = job.registry.name_of(dataset)
    folder = getattr(dataset, "path", None)
    return Path(folder).name if folder else name


def _image_row(seen: Seen) -> dict[str, object]:
    height, width = seen.gt.shape[1:]
    return {"name": seen.name, "height": height, "width": width, **seen.rows}


def _progress_line(seen: Seen, number: int, count: int) -> str:
    quality = {way: next(iter(row.values())) for way, row in seen.rows.items() if way in SHOWN}
    shown = "  ".join(f"{way} {value:.2f}" for way, value in quality.items())
    return f"evaluate: {number + 1}/{count} {seen.name}  {shown} dB"


def _forget_pictures(folder: Path) -> None:
    """Those of an earlier evaluation, which would stand beside figures of this one."""
    for old in folder.glob("*.png"):
        old.unlink()


def _keep_pictures(seen: Seen, folder: Path, architecture: Architecture) -> None:
    pictures = {way: seen.images[way] for way in SHOWN if way in seen.images} | {"gt": seen.gt}
    if seen.routed is not None:
        pictures["map"] = route_map.overlay(seen.routed, architecture.task.scale, len(architecture.branches))
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        io.write(folder / f"{name}.png", io.Image(io.to_uint8(picture)))
