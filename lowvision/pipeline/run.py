"""Run a recipe from its first stage to its report: prepare folder and devices, skip finished stages."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import set_seed

from lowvision import report
from lowvision.errors import RunError
from lowvision.pipeline import continuing, preflight, run_folder
from lowvision.pipeline.stages.context import StageContext
from lowvision.pipeline.stages.job import SET, Job
from lowvision.pipeline.trackers import Trackers
from lowvision.plugins.observers import Observer
from lowvision.plugins.registry import Registry
from lowvision.plugins.stages import Stage
from lowvision.recipe import reading
from lowvision.recipe.models import Recipe
from lowvision.system import accelerators, processes
from lowvision.system.allocator import keep_memory
from lowvision.system.atomic import whole
from lowvision.system.distributions import installed_version
from lowvision.training.log import LOGS, Log


def run(
    recipe: Recipe,
    registry: Registry,
    source: Path,
    folder: Path,
    restart: bool,
    device: str,
    observers: Sequence[Observer] = (),
    prints: bool = True,
) -> None:
    """Run every stage of the recipe that is not finished in `folder`, and write the report there.

    observers: follow the run, in addition to those of the recipe. prints: False: nothing is printed.
    """
    preflight.check(recipe, registry, device)
    accelerator = _accelerator(recipe, folder, device)
    if accelerator.device.type == "cpu":
        keep_memory()
    with run_folder.locked(folder) if accelerator.is_main_process else nullcontext():
        notices: list[str] = []
        if accelerator.is_main_process:
            notices = _open_folder(folder, recipe, registry, source, restart)
        accelerator.wait_for_everyone()
        _check_shared(folder)
        followers = [*_recipe_observers(recipe, registry, accelerator, folder), *observers]
        log = Log(folder, accelerator.is_main_process, followers, prints)
        for notice in notices:
            log.info(notice)
        _observed(recipe, registry, accelerator, folder, log)
        accelerator.end_training()


def trained_weights(recipe: Recipe, folder: Path) -> Path | None:
    """Return the weights file that a finished run leads to; None if no stage has trained a network."""
    if recipe.stages.calibrate and (folder / SET).exists():
        return folder / SET
    for name, stage in reversed(list(recipe.stages.items())):
        path = folder / name / stage.result
        if stage.trains in ("base", "container") and path.exists():
            return path
    return None


def _recipe_observers(recipe: Recipe, registry: Registry, accelerator: Accelerator, folder: Path) -> list[Observer]:
    """Return new observers of the recipe, on every process."""
    built = [options.build() for options in recipe.observers]
    if not recipe.trackers:
        return built
    hyperparameters = recipe.model_dump(mode="json", context=registry)
    return [Trackers(accelerator, folder.name, hyperparameters), *built]


def _observed(recipe: Recipe, registry: Registry, accelerator: Accelerator, folder: Path, log: Log) -> None:
    """Run the stages between the first and the last call of observers; the last one follows an error, too."""
    job = Job(recipe, registry, accelerator, folder, log)
    document = None
    log.observers.on_run_start(recipe, job.listed)
    job.claim(*(path for path in (folder / folder.name).rglob("*") if path.is_file()))  # trackers write there
    try:
        for name, stage in recipe.stages.items():
            _run_once(stage, StageContext(recipe, registry, accelerator, folder, log, name))
        document = report.read(folder)
        for line in _results(recipe, folder):
            log.info(line)
    finally:
        log.observers.on_run_end(document)


def _results(recipe: Recipe, folder: Path) -> Iterator[str]:
    """Yield where the results of a finished run are."""
    if weights := trained_weights(recipe, folder):
        yield f"weights: {weights}"
    if (page := folder / "report.html").exists():
        yield f"report: {page}"


def _accelerator(recipe: Recipe, folder: Path, device: str) -> Accelerator:
    accelerator = accelerators.build(
        device,
        mixed_precision=recipe.precision,
        log_with=list(recipe.trackers) or None,
        project_dir=str(folder),
        step_scheduler_with_optimizer=False,
    )
    if "TORCHELASTIC_RUN_ID" in os.environ:
        processes.end_with_parent()
    set_seed(recipe.seed)
    return accelerator


def _open_folder(folder: Path, recipe: Recipe, registry: Registry, source: Path, restart: bool) -> list[str]:
    """Prepare the locked folder of the run, or check that its recipe can continue; return what changes in it."""
    resolved = reading.resolved(recipe, registry)
    written = folder / run_folder.RESOLVED
    if (folder / run_folder.RESTARTING).exists() or (restart and written.exists()):
        run_folder.remove_results(folder)
    try:
        if not written.exists():
            _begin(folder, source, resolved)
        elif written.read_text(errors="replace") != resolved:
            notices = list(continuing.extend(folder, written, recipe, registry, tuple(recipe.stages), run_folder.DONE))
            with whole(written, durable=True) as part:  # last: after a kill before it, the next run begins again here
                part.write_text(resolved)
            return notices
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error}; --runs FOLDER puts runs elsewhere") from None
    return []


def _begin(folder: Path, source: Path, resolved: str) -> None:
    run_folder.start_list(folder)
    names = ("recipe.yml", "environment.json", run_folder.RESOLVED, *LOGS)
    run_folder.claim(folder, *(folder / name for name in names))
    (folder / "recipe.yml").write_bytes(source.read_bytes())
    (folder / "environment.json").write_text(json.dumps(_environment(), indent=2))
    with whole(folder / run_folder.RESOLVED, durable=True) as part:
        part.write_text(resolved)


def _check_shared(folder: Path) -> None:
    """Raise RunError if the main process, perhaps on another node, has written a folder that is not here."""
    if not (folder / run_folder.RESOLVED).exists():
        raise RunError(
            f"{folder}: was created by the main process but is not visible to this one; give --runs on a file system "
            "that all nodes share"
        )


def _environment() -> dict[str, str | int | None]:
    names = ("lowvision-framework", "torch", "accelerate", "timm", "albumentations", "safetensors", "numpy")
    versions: dict[str, str | int | None] = {name: installed_version(name) for name in names}
    return {**versions, "python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}


def _run_once(stage: Stage, job: StageContext) -> None:
    """Run a stage unless it is finished, and mark it as finished."""
    name = job.stage
    done = job.stage_folder / run_folder.DONE
    if done.exists():
        job.log.info(f"{name}: already finished")
        return
    job.log.info(f"{name}: started")
    began = time.perf_counter()
    try:
        stage.run(job)
    except OSError as error:
        raise RunError(f"{name}: {error}; fix the cause and run again, the last good checkpoint is kept") from None
    if job.accelerator.is_main_process:
        done.parent.mkdir(exist_ok=True)
        job.claim(done)
        with whole(done, durable=True) as part:
            seconds = round(time.perf_counter() - began, 1)
            part.write_text(json.dumps({"seconds": seconds, "sha256": run_folder.digests(done.parent)}, indent=1))
    job.accelerator.wait_for_everyone()
    job.log.observers.on_stage_end(name)
    job.log.info(f"{name}: finished in {time.perf_counter() - began:.0f} s")
