"""Run a recipe from its first stage to its report: prepare folder and devices, skip finished stages."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import set_seed

from lowvision.errors import RecipeError, RunError
from lowvision.pipeline import continuing, preflight
from lowvision.pipeline.stages import base, branches, calibrate, classifier, evaluate, joint, rank
from lowvision.pipeline.stages.job import Job
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.recipe.models import Recipe
from lowvision.system import devices, processes
from lowvision.system.allocator import keep_memory
from lowvision.system.atomic import whole
from lowvision.system.distributions import installed_version
from lowvision.training.log import Log

STAGES: dict[str, Callable[[Job, Any], None]] = {
    "base": base.run,
    "rank": rank.run,
    "branches": branches.run,
    "classifier": classifier.run,
    "joint": joint.run,
    "calibrate": calibrate.run,
    "evaluate": evaluate.run,
}
"""The stages in the order of execution."""
DONE = "done.json"


def run(recipe: Recipe, registry: Registry, source: Path, folder: Path, restart: bool, device: str) -> None:
    """Run every stage of the recipe that is not finished in `folder`, and write the report there."""
    preflight.check(recipe, registry)
    accelerator = _accelerator(recipe, folder, device)
    if accelerator.device.type == "cpu":
        keep_memory()
    notices: list[str] = []
    if accelerator.is_main_process:
        notices = _open_folder(folder, recipe, registry, source, restart)
    accelerator.wait_for_everyone()
    if recipe.trackers:
        accelerator.init_trackers(folder.name)
    track = accelerator.log if recipe.trackers else None
    log = Log(folder, accelerator.is_main_process, track)
    for notice in notices:
        log.info(notice)
    job = Job(recipe, registry, accelerator, folder, log)
    for name, run_stage in STAGES.items():
        options = getattr(recipe.stages, name)
        if options is not None:
            _run_once(name, lambda run_stage=run_stage, options=options: run_stage(job, options), job)  # type: ignore[misc]  # bound in this iteration
    accelerator.end_training()


def _accelerator(recipe: Recipe, folder: Path, device: str) -> Accelerator:
    selected = devices.choose(device)
    if selected == "cpu" and recipe.precision == "fp16":
        raise RecipeError("precision: fp16 needs a GPU, the CPU would compute in float32; use bf16 or no")
    accelerator = Accelerator(
        cpu=selected == "cpu",
        mixed_precision=recipe.precision,
        log_with=list(recipe.trackers) or None,
        project_dir=str(folder),
        step_scheduler_with_optimizer=False,
    )
    processes.check_together(accelerator.num_processes)
    set_seed(recipe.seed)
    return accelerator


def _open_folder(folder: Path, recipe: Recipe, registry: Registry, source: Path, restart: bool) -> list[str]:
    """Create the folder of the run, or check that it belongs to the same recipe; return what changes in it."""
    resolved = reading.resolved(recipe, registry)
    written = folder / "recipe.resolved.yml"
    if restart and written.exists():
        # Rename first: if the process is killed while deleting, half a run must not pass for a complete one.
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        shutil.rmtree(old)
    if written.exists():
        if written.read_text() == resolved:
            return []
        notices = list(continuing.extend(folder, written, recipe, registry, tuple(STAGES), DONE))
        with whole(written) as part:  # last: if the process is killed before, the next run begins again here
            part.write_text(resolved)
        return notices
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.yml").write_bytes(source.read_bytes())
        (folder / "environment.json").write_text(json.dumps(_environment(), indent=2))
        with whole(written) as part:
            part.write_text(resolved)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error}; --runs FOLDER puts runs elsewhere") from None
    return []


def _environment() -> dict[str, str | int | None]:
    names = ("lowvision-framework", "torch", "accelerate", "timm", "albumentations", "safetensors", "numpy")
    versions: dict[str, str | int | None] = {name: installed_version(name) for name in names}
    return {**versions, "python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}


def _run_once(name: str, work: Callable[[], None], job: Job) -> None:
    """Run a stage unless it is finished, and mark it as finished."""
    done = job.folder / name / DONE
    if done.exists():
        job.log.info(f"{name}: already finished")
        return
    job.log.info(f"{name}: started")
    began = time.perf_counter()
    try:
        work()
    except OSError as error:
        raise RunError(f"{name}: {error}; fix the cause and run again, the last good checkpoint is kept") from None
    if job.accelerator.is_main_process:
        with whole(done) as part:
            part.write_text(json.dumps({"seconds": round(time.perf_counter() - began, 1)}))
    job.accelerator.wait_for_everyone()
    job.log.info(f"{name}: finished in {time.perf_counter() - began:.0f} s")
