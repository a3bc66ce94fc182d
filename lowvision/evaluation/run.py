"""Run an evaluation on sets of photographs, shared by all processes, and write the pictures of a report."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from lowvision.data.photographs import Photograph
from lowvision.errors import DataError
from lowvision.evaluation.measure import Evaluation, ImageMeasurement, mean
from lowvision.imaging import io
from lowvision.inference import route_map
from lowvision.models.architecture import Architecture
from lowvision.plugins.contracts import Task
from lowvision.plugins.metrics import Metric
from lowvision.training.log import Log

SHOWN = ("input", "base_whole", "routed")
"""The ways whose pictures are written."""

ENLARGED = "enlarge by bicubic interpolation; the result may overshoot [0,1]"
UNCHANGED = "the degraded image itself"
"""Default baselines of tasks, for the row `input` of reports."""


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
    measured_sets = []
    for name, photographs in sets.items():
        rows = []
        for number in _share(photographs, accelerator.process_index, accelerator.num_processes):
            measurement = evaluation.measure(photographs[number], number)
            rows.append((number, _image_row(measurement)))
            log.info(_progress_line(measurement, number, len(photographs)))
            for way, reason in measurement.left_out.items():
                log.info(f"evaluate: {measurement.name}: {way} is left out: {reason}")
            _delete_pictures(pictures / name / measurement.name)
            if number < shown:
                _write_pictures(measurement, pictures / name / measurement.name, architecture)
        images = [row for _, row in sorted(gather_object(rows), key=lambda numbered: numbered[0])]
        ways = [{way: values for way, values in row.items() if isinstance(values, dict)} for row in images]
        measured_sets.append({"name": name, "images": images, "mean": mean(ways)})
    document = {
        "protocol": evaluation.protocol,
        "baseline": _baseline(evaluation.task),
        "metrics": {name: _described(metric) for name, metric in evaluation.metrics.items()},
        "sets": measured_sets,
    }
    if not evaluation.compared:
        return document
    descriptions = {name: compared.about for name, compared in evaluation.compared.items()}
    return {**document, "classifiers": descriptions}


def _described(metric: Metric) -> dict[str, Any]:
    return {
        "protocol": metric.protocol(),
        "higher_is_better": metric.higher_is_better,
        "full_reference": metric.full_reference,
    }


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


def _baseline(task: Task) -> str:
    """Describe the restoration without a network, by the docstring of the task's own method if it has one."""
    if type(task).baseline is Task.baseline:
        return f"without a network: {ENLARGED if task.scale > 1 else UNCHANGED}"
    own = inspect.cleandoc(type(task).baseline.__doc__ or "").partition("\n\n")[0]
    text = " ".join(own.split()).rstrip(".").removeprefix("Return ")
    return f"without a network: {text[0].lower()}{text[1:]}" if text else "the task's restoration without a network"


def _image_row(measurement: ImageMeasurement) -> dict[str, object]:
    height, width = measurement.images["input"].shape[1:]
    left_out = [f"{way}: {reason}" for way, reason in measurement.left_out.items()]
    row = {"name": measurement.name, "height": height, "width": width, **measurement.rows}
    return {**row, "left_out": left_out} if left_out else row


def _progress_line(measurement: ImageMeasurement, number: int, count: int) -> str:
    quality = {way: next(iter(row.values()), float("nan")) for way, row in measurement.rows.items() if way in SHOWN}
    values = "  ".join(f"{way} {value:.2f}" for way, value in quality.items())
    column = next((name for row in measurement.rows.values() for name in row if "@" in name), "")
    unit = "dB" if column.startswith("psnr") else column.partition("@")[0]
    return f"evaluate: {number + 1}/{count} {measurement.name}  {values} {unit}"


def _delete_pictures(folder: Path) -> None:
    """Delete the pictures of an earlier evaluation, which would not match the new results."""
    for old in folder.glob("*.png"):
        old.unlink()


def _write_pictures(measurement: ImageMeasurement, folder: Path, architecture: Architecture) -> None:
    pictures = {way: measurement.images[way] for way in SHOWN if way in measurement.images}
    pictures |= {} if measurement.gt is None else {"gt": measurement.gt}
    if measurement.routed is not None:
        routed, scale, branches = measurement.routed, architecture.task.scale, len(architecture.branches)
        pictures["map"] = route_map.overlay(pictures["routed"], routed.choice, routed.plan, scale, branches)
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        io.write(folder / f"{name}.png", io.Image(io.to_uint8(picture)))
