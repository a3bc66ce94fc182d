"""Implement `lowvision accelerate`: a routed, faster version of a trained network, from photographs alone.

The command measures the network, writes a recipe and runs it; `lowvision run` on that file does the same.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from lowvision.commands.accelerate import planning, recipe_file
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.config.validation import shown
from lowvision.errors import LowvisionError, RunError, UsageError
from lowvision.pipeline import run_folder
from lowvision.pipeline.stages.fidelity import DOCUMENT, PAGE, SHEET, TEXT
from lowvision.pipeline.stages.job import CALIBRATED
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.system.allocator import keep_memory
from lowvision.system.atomic import whole

logger = logging.getLogger("lowvision")

LEAST_GAIN = 1.05
"""Smallest acceleration that counts as faster."""


class NotFasterError(LowvisionError):
    """The network cannot be made faster at the requested fidelity."""


def accelerate(request: AccelerateRequest, registry: Registry) -> dict[str, Any]:
    """Make a faster version of a network, write it to the output, and return the report's document.

    The same request resumes an interrupted one. Raises NotFasterError if the result is not faster at the
    required fidelity; the run folder then holds the report and the container.
    """
    from lowvision.pipeline import run

    name = run_folder.checked_name(request.output.stem)
    path, folder = request.runs / f"{name}.yml", request.runs / name
    _check_output(request)
    keep_memory()
    if request.restart or not path.exists():
        planning.check_photographs(request)
        text = recipe_file.text(planning.plan(request, registry, logger.info), request, registry)
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")
        logger.info("%s: the recipe; edit it and run `lowvision run %s --runs %s`", path, path, request.runs)
    else:
        _check_same(path, request)
        logger.info("%s: exists, its run goes on", path)
    run.run(reading.read(path, registry), registry, path, folder, request.restart, request.device)
    document: dict[str, Any] = json.loads((folder / DOCUMENT).read_text())
    document = {
        **document,
        "report": str(folder / TEXT),
        "page": str(folder / PAGE),
        "crops": str(folder / SHEET),
        "output": str(request.output),
    }
    _refuse_slow(document, request, folder)
    with whole(request.output, durable=True) as part:
        shutil.copyfile(folder / CALIBRATED, part)
    return document


def text(document: dict[str, Any]) -> str:
    """Format the document: the result in one line, and where the report is."""
    row = document["rows"][document["requested"]]
    return (
        f"{document['output']}: {row['times_faster']:.2f} times as fast as the network alone at "
        f"{row['psnr_to_teacher']:.1f} dB to its output (--max-loss {document['max_loss']:g}); it contains the "
        f"network itself, so its licence holds for the file; report: {document['page']}; use it: "
        f"lowvision restore PHOTO -m {document['output']} --max-loss {document['max_loss']:g}"
    )


def _check_output(request: AccelerateRequest) -> None:
    """Raise UsageError if the output is no weights file, or would replace the network."""
    if request.output.suffix != ".safetensors":
        raise UsageError(f"-o {request.output}: must end in .safetensors")
    if request.output.exists() and request.output.resolve() == Path(request.weights).resolve():
        raise UsageError(f"-o {request.output}: is the network itself; give another name")


def _check_same(path: Path, request: AccelerateRequest) -> None:
    """Raise RunError if another request wrote the recipe."""
    written = recipe_file.request_of(path)
    current = request.record()
    different = [name for name in current if written.get(name) != current[name]]
    if different:
        values = ", ".join(f"{name} was {shown(written.get(name))}" for name in different)
        raise RunError(f"{path}: belongs to another request ({values}); give another -o, or --restart to replace it")


def _refuse_slow(document: dict[str, Any], request: AccelerateRequest, folder: Path) -> None:
    """Raise NotFasterError if the requested point is not faster, or if no point is within the loss."""
    row = document["rows"][document["requested"]]
    if row["max_loss"] <= request.max_loss and row["times_faster"] >= LEAST_GAIN:
        return
    points = [row for row in document["rows"] if row["max_loss"] is not None]
    faster = [row for row in points if row["times_faster"] >= LEAST_GAIN]
    best = max(faster, key=lambda row: row["psnr_to_teacher"], default=None)
    way_out = (
        f"--max-loss {recipe_file.rounded_up(best['max_loss'])} gives {best['times_faster']:.2f} times at "
        f"{best['psnr_to_teacher']:.1f} dB"
        if best
        else "no point of its curve is faster; larger photographs, more minutes or other students may help"
    )
    raise NotFasterError(
        f"{request.weights}: cannot be made faster at a loss of at most {request.max_loss:g} dB: "
        f"{row['shares'][-1]:.0%} of the tiles need the network itself, the result is {row['times_faster']:.2f} "
        f"times as fast ({row['psnr_to_teacher']:.1f} dB to it); {way_out}; report: {folder / TEXT}"
    )
