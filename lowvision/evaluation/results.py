"""The results of an evaluation: the row and the pictures of each photograph, and the document of all."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowvision.data.photographs import Photograph
from lowvision.evaluation.measure import Evaluation, ImageMeasurement, mean
from lowvision.imaging import io
from lowvision.imaging.protocol import Protocol
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


@dataclass(frozen=True)
class ImageResult:
    """The part of a report that one photograph fills; small enough to be sent to another process."""

    name: str
    row: Mapping[str, Any]
    """Name, size, and the measured values of each way."""
    quality: str
    """Values of the ways that are shown, for the log."""
    left_out: Mapping[str, str]
    """The reason for each way that could not be run."""
    pictures: Mapping[str, NDArray[np.uint8]]
    """Pictures (H,W,C) by name; empty if the photograph is not shown."""


def measured(
    evaluation: Evaluation, architecture: Architecture, photograph: Photograph, number: int, is_shown: bool
) -> ImageResult:
    """Measure one photograph in every way; its number in the set seeds all randomness."""
    measurement = evaluation.measure(photograph, number)
    pictures = _pictures(measurement, architecture) if is_shown else {}
    quality = _quality(measurement)
    return ImageResult(measurement.name, _image_row(measurement), quality, measurement.left_out, pictures)


def record(result: ImageResult, pictures: Path, log: Log, number: int, count: int) -> None:
    """Log a result as one of `count`, and write its pictures to its folder below `pictures`.

    Pictures of an earlier evaluation are deleted there: they would not match the new results.
    """
    log.info(f"evaluate: {number}/{count} {result.name}  {result.quality}")
    for way, reason in result.left_out.items():
        log.info(f"evaluate: {result.name}: {way} is left out: {reason}")
    folder = pictures / result.name
    for old in folder.glob("*.png"):
        old.unlink()
    if result.pictures:
        folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in result.pictures.items():
        io.write(folder / f"{name}.png", io.Image(pixels))


def document(
    task: Task,
    protocol: Protocol,
    metrics: Mapping[str, Metric],
    classifiers: Mapping[str, str],
    sets: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    """Return the `protocol`, `baseline`, `metrics` and `sets` of a report.

    classifiers: the descriptions of those that are compared, for the key `classifiers`; empty: no such key.
    sets: the rows of the photographs of each set, in their order.
    """
    described = {
        "protocol": protocol,
        "baseline": _baseline(task),
        "metrics": {name: _described(metric) for name, metric in metrics.items()},
        "sets": [{"name": name, "images": [*rows], "mean": _mean(rows)} for name, rows in sets.items()],
    }
    return {**described, "classifiers": dict(classifiers)} if classifiers else described


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return mean([{way: values for way, values in row.items() if isinstance(values, dict)} for row in rows])


def _described(metric: Metric) -> dict[str, Any]:
    return {
        "protocol": metric.protocol(),
        "higher_is_better": metric.higher_is_better,
        "full_reference": metric.full_reference,
    }


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


def _quality(measurement: ImageMeasurement) -> str:
    quality = {way: next(iter(row.values()), float("nan")) for way, row in measurement.rows.items() if way in SHOWN}
    values = "  ".join(f"{way} {value:.2f}" for way, value in quality.items())
    column = next((name for row in measurement.rows.values() for name in row if "@" in name), "")
    unit = "dB" if column.startswith("psnr") else column.partition("@")[0]
    return f"{values} {unit}"


def _pictures(measurement: ImageMeasurement, architecture: Architecture) -> dict[str, NDArray[np.uint8]]:
    """Return the pictures of a report: the ways that are shown, the ground truth, and the map of branches."""
    pictures = {way: measurement.images[way] for way in SHOWN if way in measurement.images}
    pictures |= {} if measurement.gt is None else {"gt": measurement.gt}
    if measurement.routed is not None:
        routed, scale, branches = measurement.routed, architecture.task.scale, len(architecture.branches)
        pictures["map"] = route_map.overlay(pictures["routed"], routed.choice, routed.tiling, scale, branches)
    return {name: io.to_uint8(picture) for name, picture in pictures.items()}
