"""`lowvision evaluate`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowvision.cli.answers import answer
from lowvision.cli.words import AsJson, Device, WeightsFile
from lowvision.errors import UsageError

if TYPE_CHECKING:
    from lowvision.config.options import Options
    from lowvision.plugins.contracts import Dataset, Task
    from lowvision.plugins.registry import Registry


def evaluate(
    weights: WeightsFile,
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of ground truth, or of gt/ and lq/.")
    ],
    downscale: Annotated[float, typer.Option(min=1, help="Shrink every image by this factor first.")] = 1.0,
    longer_side: Annotated[int | None, typer.Option(min=1, help="Shrink images to this longer side first.")] = None,
    budget: Annotated[
        list[float] | None,
        typer.Option(
            help="Measure routing within this share of the base's cost too, as 0.6; several times for several."
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="PHOTOS", help="Compare with classifiers that need no training, fitted on this folder or data set."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK", help="Measure at another task of this scale than trained for, as '{denoise: {sigma: 15}}'."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A folder for the report and its pictures.")
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a weights file on folders of photographs: quality, exact cost and seconds beside its own base."""
    from lowvision import report
    from lowvision.commands.evaluate import evaluate
    from lowvision.plugins import registry
    from lowvision.plugins.folder_dataset import Folder

    sets = {
        name: Folder(path=str(folder), downscale=downscale, longer_side=longer_side)
        for name, folder in _named(folders).items()
    }
    known, budgets = registry.load(), tuple(dict.fromkeys(budget or ()))
    if not all(0 < share < math.inf for share in budgets):
        raise UsageError("a budget is a share of the base's cost above 0, as 0.6")
    fit_on = _photographs(compare, downscale, longer_side, known) if compare else None
    other = _task(task, known) if task else None
    document = evaluate(weights, sets, known, output, device, budgets, fit_on, other)
    answer(document, as_json, report.text)


def _photographs(words: str, downscale: float, longer_side: int | None, known: Registry) -> Dataset:
    """A data set as a recipe would write it; any other word is a folder, whose photographs are treated as the others.

    Raises UsageError.
    """
    from lowvision.config import yaml_reader
    from lowvision.plugins.folder_dataset import Folder

    value = yaml_reader.parse(words, "--compare").value
    if isinstance(value, str) and value not in known["datasets"]:
        return Folder(path=value, downscale=downscale, longer_side=longer_side)
    return _chosen("datasets", value, "--compare", known)  # type: ignore[return-value]  # that menu holds data sets


def _task(words: str, known: Registry) -> Task:
    """A task as a recipe would write it. Raises UsageError."""
    from lowvision.config import yaml_reader

    value = yaml_reader.parse(words, "--task").value
    return _chosen("tasks", value, "--task", known)  # type: ignore[return-value]  # that menu holds tasks


def _chosen(kind: str, value: Any, option: str, known: Registry) -> Options:
    """What an option says in the words of a recipe. Raises UsageError."""
    from pydantic import ValidationError

    from lowvision.config.validation import in_words
    from lowvision.plugins.choice import choose

    try:
        return choose(kind, value, known)
    except ValidationError as error:
        raise UsageError(f"{option}: {in_words(error)}") from None
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _named(folders: list[Path]) -> dict[str, Path]:
    """Each folder by its own name, or by more of its path where two are called alike."""
    named: dict[str, Path] = {}
    for folder in folders:
        parts = [part for part in folder.resolve().parts if part != folder.anchor]
        names = ("-".join(parts[-n:]) for n in range(1, len(parts) + 1))
        named[next((name for name in names if name not in named), str(folder))] = folder
    return named
