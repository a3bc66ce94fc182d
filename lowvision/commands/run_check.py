"""Implement `lowvision doctor RUN`: verify checkpoints, results and records of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lowvision.commands.doctor import Problem
from lowvision.errors import LowvisionError, UsageError, message_of
from lowvision.models import weights
from lowvision.pipeline import run_folder
from lowvision.plugins.registry import Registry
from lowvision.system.cache import fingerprint
from lowvision.system.printable import printable
from lowvision.training import checkpoint, log


def document(folder: Path, registry: Registry) -> dict[str, Any]:
    """Return the stages of a run, and all `problems`. Raises UsageError if the folder holds no run."""
    if not (folder / run_folder.RESOLVED).is_file():
        raise UsageError(f"{folder}: is not the folder of a run, it has no {run_folder.RESOLVED}; give e.g. runs/NAME")
    stages = sorted({path.parent for name in (run_folder.DONE, checkpoint.FOLDER) for path in folder.rglob(name)})
    problems = [*_record_problems(folder)]
    for stage in stages:
        problems += [*_checkpoint_problems(stage), *_result_problems(stage, registry)]
    return {
        "run": str(folder),
        "stages": [_stage(stage, folder) for stage in stages],
        "problems": [asdict(problem) for problem in problems],
    }


def text(document: Mapping[str, Any]) -> str:
    """Format the document as text."""
    lines = [printable(document["run"])]
    for stage in document["stages"]:
        state = "finished" if stage["finished"] else "unfinished"
        lines.append(f"  {printable(stage['name'])}: {state}, {stage['checkpoints']} checkpoints")
    problems = document["problems"]
    lines.append(f"{len(problems)} wrong:" if problems else "nothing wrong")
    for problem in problems:
        lines += [f"  {printable(problem['problem'])}", f"    {printable(problem['solution'])}"]
    return "\n".join(lines)


def _stage(stage: Path, folder: Path) -> dict[str, Any]:
    """Describe a stage, or one of its networks, e.g. `branches/0`, which is finished when the stage is."""
    return {
        "name": stage.relative_to(folder).as_posix(),
        "finished": any((place / run_folder.DONE).exists() for place in (stage, stage.parent)),
        "checkpoints": len(checkpoint.newest_first(stage / checkpoint.FOLDER)),
    }


def _record_problems(folder: Path) -> Iterator[Problem]:
    if (folder / run_folder.RESTARTING).exists():
        yield Problem(f"{folder}: --restart was interrupted", "run the recipe again, which removes the rest first")
    if not (folder / run_folder.LIST).exists():
        yield Problem(
            f"{folder}: has no {run_folder.LIST}, so --restart will refuse it",
            "none is needed to resume; to start again, give another --name",
        )
    if damaged := log.damaged_lines(folder):
        yield Problem(f"{folder / log.METRICS}: {damaged} damaged lines", "none is needed; the report leaves them out")


def _checkpoint_problems(stage: Path) -> Iterator[Problem]:
    paths = checkpoint.newest_first(stage / checkpoint.FOLDER)
    damages = {path: checkpoint.damage_of(path) for path in paths}
    way_out = "run the recipe again, which resumes from an older checkpoint"
    if all(damages.values()):
        way_out = f"delete {stage / checkpoint.FOLDER}, and run the recipe again, which starts this stage again"
    for path, damage in damages.items():
        if damage:
            yield Problem(f"{path}: the checkpoint is damaged: {damage}", way_out)


def _result_problems(stage: Path, registry: Registry) -> Iterator[Problem]:
    """Yield the results that are missing, are not what the stage wrote, or cannot be read."""
    way_out = f"delete {stage / run_folder.DONE}, and run the recipe again, which repeats this stage"
    for name, digest in _digests(stage / run_folder.DONE).items():
        if not (stage / name).is_file():
            yield Problem(f"{stage / name}: is missing", way_out)
        elif fingerprint(stage / name) != digest:
            yield Problem(f"{stage / name}: is damaged, its checksum differs", way_out)
    for path in sorted(stage.glob("*.safetensors")):
        try:
            weights.read_header(path, registry)
        except LowvisionError as error:
            yield Problem(message_of(error), way_out)


def _digests(done: Path) -> dict[str, str]:
    """Return the checksums that a finished stage recorded; empty for a stage of an older version."""
    try:
        recorded = json.loads(done.read_text())["sha256"]
        return {str(name): str(digest) for name, digest in recorded.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
