"""Measure the images that all methods have restored from one photograph, by every metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lowvision.errors import DataError, LowvisionError, summary_of
from lowvision.imaging import io, metrics
from lowvision.imaging.luma import grey
from lowvision.plugins.metrics import Metric
from lowvision.routing import workers
from lowvision.system import cores


@dataclass(frozen=True)
class Quality:
    """The metrics of an evaluation."""

    metrics: Mapping[str, Metric]
    """By the name of their columns, in order."""
    crop: int
    """Pixels that are cropped at each border first."""
    device: torch.device

    def measure(
        self, images: Mapping[str, Tensor], gt: Tensor | None, photo: str, as_grey: bool
    ) -> dict[str, dict[str, float]]:
        """Return the values of each image (C,H,W) by column, e.g. `psnr_y@crop4`; a column without a value is omitted.

        gt: the ground truth; without it, metrics that need it have no value. photo: the name of the photograph.
        as_grey: measure it as the protocol `paper` measures photographs whose files are grey. On the CPU, images are
        measured in several threads. Raises DataError if an image has another shape than gt.
        """
        chosen = {name: metric.of_grey_file() if as_grey else metric for name, metric in self.metrics.items()}
        chosen = {name: metric for name, metric in chosen.items() if gt is not None or needs_no_gt(metric, photo)}
        shape = next(iter(images.values())).shape if gt is None else gt.shape
        references = {name: self._reference(metric, photo, gt, shape) for name, metric in chosen.items()}
        threads = min(len(images), cores.per_process()) if self.device.type == "cpu" else 1

        def row(item: tuple[str, Tensor]) -> tuple[str, dict[str, float]]:
            way, image = item
            if image.shape != shape:
                raise DataError(f"{photo}: {way} is {tuple(image.shape)}, gt is {tuple(shape)}; they must be equal")
            prepared = metrics.eight_bit(image.to(self.device), self.crop)
            return way, dict(self._values(chosen, prepared, references, photo))

        return dict(workers.in_order(row, images.items(), max(1, threads)))

    def _reference(self, metric: Metric, photo: str, gt: Tensor | None, shape: torch.Size) -> Tensor | None:
        """Return what a metric compares an image of `shape` with, prepared on the device; None: without a reference."""
        path = metric.reference(photo) if metric.full_reference else None
        other = gt if path is None else _read(path, shape[0])
        if other is None or not metric.full_reference:
            return None
        if other.shape[1:] != shape[1:]:
            raise DataError(f"{path}: is {other.shape[2]}x{other.shape[1]}, {photo} is {shape[2]}x{shape[1]}")
        return metrics.eight_bit(other.to(self.device), self.crop)

    def _values(
        self, chosen: Mapping[str, Metric], image: Tensor, references: Mapping[str, Tensor | None], photo: str
    ) -> Iterator[tuple[str, float]]:
        for name, metric in chosen.items():
            if min(image.shape[1:]) < metric.smallest:
                continue
            for part, value in values_of(metric, image, references[name], f"{photo}: {name}").items():
                yield f"{name}_{part}@crop{self.crop}" if part else f"{name}@crop{self.crop}", value


def needs_no_gt(metric: Metric, photo: str) -> bool:
    """Return True if a metric needs no reference, or has a separate one for the photograph of that name."""
    return not metric.full_reference or metric.reference(photo) is not None


def values_of(metric: Metric, restored: Tensor, gt: Tensor | None, place: str) -> dict[str, float]:
    """Return the values of a metric by part; a single value has the part ''. Raises LowvisionError with the place."""
    try:
        with torch.no_grad():
            measured = metric.measure(restored, gt)
    except LowvisionError:
        raise
    except Exception as error:  # a plugin's metric may raise anything
        raise DataError(f"{place}: cannot be measured ({summary_of(error)})") from error
    return {"": float(measured)} if not isinstance(measured, Mapping) else {k: float(v) for k, v in measured.items()}


def _read(path: Path, channels: int) -> Tensor:
    """Read an image as (C,H,W) in [0,1], as luma for a single channel."""
    image = io.to_tensor(io.read_rgb(path))
    return grey(image) if channels == 1 else image
