"""Write the recipe of an acceleration."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from lowvision.commands.accelerate.planning import Plan, escaped
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.commands.accelerate.thoroughness import POINTS
from lowvision.config import yaml_reader
from lowvision.models import weights
from lowvision.plugins.registry import Registry

PREFIX = "# request: "
"""Start of the line of a recipe that holds the arguments of the command."""


def text(plan: Plan, request: AccelerateRequest, registry: Registry) -> str:
    """Return the recipe as YAML, with the request in a comment."""
    heading = [
        "# Written by `lowvision accelerate`. Change it as you like; `lowvision run` runs it.",
        f"{PREFIX}{json.dumps(request.record())}",
    ]
    return "\n".join(heading) + "\n" + yaml_reader.dump(document(plan, request, registry))


def request_of(path: Path) -> dict[str, Any]:
    """Return the recorded request of a recipe; empty if it has none."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(PREFIX):
            try:
                value = json.loads(line.removeprefix(PREFIX))
            except ValueError:
                break
            return value if isinstance(value, dict) else {}
    return {}


def document(plan: Plan, request: AccelerateRequest, registry: Registry) -> dict[str, Any]:
    """Return the recipe as plain values."""
    task = plan.architecture.task
    provenance = weights.read_header(request.weights, registry).provenance
    return {
        "task": registry.serialize(task),
        "teacher": {
            "weights": str(request.weights),
            "crops": plan.crops,
            "size": plan.crop_size,
            "context": plan.context,
            "centre": plan.thoroughness.centre,
        },
        "branches": [
            *(registry.serialize(student.backbone) for student in plan.training.students),
            _teacher(plan, request, registry),
        ],
        "classifier": "error_predictor",
        "tile": plan.tile.model_dump(),
        "data": {
            "train": _dataset(request, plan.split.train),
            "valid": _dataset(request, plan.split.valid),
            "test": _dataset(request, plan.split.test),
            "valid_tiles": 64,
            "on_error": "skip",
        },
        "precision": plan.training.precision,
        "stages": _stages(plan, request),
        "about": f"A faster version of {request.weights.name}: small networks imitate it, and it is the last branch. "
        "Whoever shares this file shares that network; its licence holds.",
        "license": provenance.license,
    }


def rounded_up(loss: float) -> str:
    """Return a loss in dB rounded up, so that the option selects the same point of the curve."""
    return f"{math.ceil(loss * 1000) / 1000:g}"


def _teacher(plan: Plan, request: AccelerateRequest, registry: Registry) -> dict[str, Any]:
    """Return the last branch: the file if it holds one network, otherwise the network and the file."""
    if not plan.is_container:
        return {"weights": str(request.weights)}
    (backbone,) = plan.architecture.branches
    return {"backbone": registry.serialize(backbone), "weights": str(request.weights)}


def _dataset(request: AccelerateRequest, names: tuple[str, ...]) -> dict[str, Any]:
    options: dict[str, Any] = {"path": _path(request.photos), "has_gt": False}
    if request.downscale != 1:
        options["downscale"] = request.downscale
    return {"folder": {**options, "only": [escaped(name) for name in names]}}


def _path(folder: Path) -> str:
    return str(folder)


def _stages(plan: Plan, request: AccelerateRequest) -> dict[str, Any]:
    steps = list(plan.steps)
    shortest = min(steps)
    distil: dict[str, Any] = {
        "steps": max(steps),
        "steps_each": steps,
        "batch": plan.training.batch,
        "lr": 1e-3,
        "min_lr": 1e-5,
        "warmup": min(50, shortest - 1),
        "valid_every": max(1, shortest // 3),
        "checkpoint_every": max(1, min(200, shortest // 4)),
        "log_every": max(1, min(100, shortest // 5)),
    }
    if plan.training.starts:
        distil["start"] = list(plan.training.starts)
    return {
        "distil": distil,
        "classifier": {
            "steps": plan.predictor_steps,
            "batch": 64,
            "lr": 1e-3,
            "warmup": min(100, plan.predictor_steps - 1),
            "valid_every": plan.predictor_steps,
            "checkpoint_every": max(1, plan.predictor_steps // 4),
            "log_every": max(1, plan.predictor_steps // 5),
            "error_tiles": 4096,
        },
        "calibrate": {"points": POINTS, "size": plan.thoroughness.centre},
        "fidelity": {"max_loss": request.max_loss, "rounds": plan.thoroughness.rounds, "runtime": request.runtime},
        "evaluate": None,
    }
