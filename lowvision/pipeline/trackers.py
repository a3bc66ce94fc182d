"""Experiment trackers of Accelerate, e.g. TensorBoard and Weights & Biases, as an observer of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from lowvision.plugins.observers import Observer, Values

IMAGE_OPTIONS: Mapping[str, Mapping[str, Any]] = {"tensorboard": {"dataformats": "NHWC"}, "wandb": {}}
"""Trackers that take images, and the arguments that they need."""


class Trackers(Observer):
    """Sends hyperparameters, metrics and images to the trackers that the recipe names."""

    wants_images = True

    def __init__(self, accelerator: Accelerator, run_name: str, hyperparameters: Mapping[str, Any]):
        """hyperparameters: the resolved recipe as plain values."""
        self._accelerator = accelerator
        self._run_name = run_name
        self._hyperparameters = hyperparameters
        self._seen: set[tuple[str, str]] = set()

    def on_run_start(self, recipe: Any, file: Callable[[str], Path]) -> None:
        self._accelerator.init_trackers(self._run_name, config=dict(_flat(self._hyperparameters)))

    def on_metrics(self, stage: str, step: int, values: Values) -> None:
        self._accelerator.log({f"{stage}/{name}": value for name, value in _flat(values)}, step)

    def on_images(self, stage: str, step: int, images: Mapping[str, Tensor]) -> None:
        new = {name: tiles for name, tiles in images.items() if name == "restored" or (stage, name) not in self._seen}
        self._seen |= {(stage, name) for name in new}
        arrays = {f"{stage}/{name}": _array(tiles) for name, tiles in new.items()}
        for tracker in self._accelerator.trackers:
            if tracker.name in IMAGE_OPTIONS:
                tracker.log_images(arrays, step=step, **IMAGE_OPTIONS[tracker.name])


def _array(tiles: Tensor) -> Any:
    """Return tiles (N,C,h,w) in [0,1] as an array (N,h,w,C) of bytes."""
    return tiles.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy()


def _flat(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield plain values by their dotted paths: mappings with `.`, lists with `/`; null is left out."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _flat(value, f"{path}.{name}" if path else str(name))
    elif isinstance(values, list | tuple):
        for number, value in enumerate(values):
            yield from _flat(value, f"{path}/{number}")
    elif values is not None:
        yield path, values
