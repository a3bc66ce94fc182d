"""Run an evaluation on sets of photographs, shared by all processes, and write the pictures of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from lowvision.data.photographs import Photograph
from lowvision.errors import DataError
from lowvision.evaluation.measure import Evaluation
from lowvision.evaluation.results import SHOWN, document, measured, record
from lowvision.models.architecture import Architecture
from lowvision.training.log import Log


def run_evaluation(
    evaluation: Evaluation,
    architecture: Architecture,
    sets: Mapping[str, tuple[Photograph, ...]],
    shown: int,
    accelerator: Accelerator,
    log: Log,
    pictures: Path,
) -> dict[str, Any]:
    """Return the `protocol`, `metrics` and `sets` of a report: the results of every way on every image of every set.

    Writes pictures of the first `shown` images of each set. If classifiers are compared, the key `classifiers` holds
    their descriptions.
    """
    for photographs in sets.values():
        if issue := evaluation.without_measure(photographs):
            raise DataError(issue)
    evaluation.warm_up()
    rows_of_sets = {}
    for name, photographs in sets.items():
        rows = []
        for number in _share(photographs, accelerator.process_index, accelerator.num_processes):
            result = measured(evaluation, architecture, photographs[number], number, number < shown)
            record(result, pictures / name, log, number + 1, len(photographs))
            rows.append((number, result.row))
        rows_of_sets[name] = [row for _, row in sorted(gather_object(rows), key=lambda numbered: numbered[0])]
    classifiers = {name: compared.about for name, compared in (evaluation.compared or {}).items()}
    return document(evaluation.task, evaluation.protocol, evaluation.metrics, classifiers, rows_of_sets)


def picture_paths(pictures: Path, sets: Mapping[str, tuple[Photograph, ...]], shown: int) -> list[Path]:
    """Return the paths of all pictures that `run_evaluation` may write."""
    folders = [pictures / name / photograph.name for name, items in sets.items() for photograph in items[:shown]]
    return [folder / f"{way}.png" for folder in folders for way in (*SHOWN, "gt", "map")]


def _share(photographs: Sequence[Photograph], index: int, count: int) -> Sequence[int]:
    """Return the numbers of this process's photographs; several processes share the largest out first.

    The last ones are then small, and no process waits long for the others.
    """
    numbers = range(len(photographs))
    if count == 1:
        return numbers
    sizes = [height * width for height, width in (photograph.lq_size for photograph in photographs)]
    return sorted(numbers, key=lambda number: -sizes[number])[index::count]
