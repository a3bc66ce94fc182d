"""Targets for data sets without ground truth: the output of a teacher on crops, computed once and cached.

A crop is computed with context around it, which is cut off again, so that its target equals the teacher's output on
the whole image. Each target is a separate file in the cache, so that an interrupted run continues where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lowvision.data import crops
from lowvision.data.photographs import Photograph, Window
from lowvision.errors import LowvisionError, RecipeError, RunError
from lowvision.imaging import io
from lowvision.inference import trained_networks
from lowvision.inference.trained_networks import ModelBundle
from lowvision.models import pretrained, weights
from lowvision.plugins.contracts import Dataset, Photo, Task
from lowvision.plugins.registry import Registry
from lowvision.recipe.models import Recipe
from lowvision.routing.tiling import suiting, up
from lowvision.system import cache
from lowvision.system.progress import duration

REPORTED = 15.0
"""Seconds between two lines about progress."""
TOP = np.iinfo(np.uint16).max
"""Targets are stored with 16 bits: rounding to 8 would limit the fidelity to 59 dB."""


@dataclass(frozen=True)
class TeacherTargets:
    """Computes the targets of crops with the last branch of a weights file."""

    bundle: ModelBundle
    context: int
    """LQ pixels around a crop."""
    device: torch.device
    say: Callable[[str], None]
    """Receives lines about progress."""
    _loaded: list[nn.Module] = field(default_factory=list)

    @property
    def is_bounded(self) -> bool:
        """Return True if the teacher's receptive field is limited: tiles then give what the whole image gives."""
        return self.bundle.architecture.branches[-1].reach(self.bundle.architecture.task) is not None

    def taught(self, photographs: Sequence[Photograph]) -> tuple[Photograph, ...]:
        """Return the photographs with the teacher's output as gt. Raises RunError for outputs that are no images."""
        progress = _Progress(len(photographs), self.say)
        done = []
        for photograph in photographs:
            done.append(replace(photograph, gt_path=self._target(photograph, progress), is_taught=True))
            progress.move()
        return tuple(done)

    def seconds_of(self, photograph: Photograph) -> float:
        """Run the teacher on a crop, whether it is cached or not, and return the seconds; the result is cached."""
        began = time.perf_counter()
        array = self._output(photograph)
        seconds = time.perf_counter() - began
        cache.keep(self._key(photograph), lambda: array)
        return seconds

    def _key(self, photograph: Photograph) -> str:
        assert photograph.lq_path is not None
        window = photograph.window and [*vars(photograph.window).values()]
        return cache.key("distilled", photograph.lq_path.name, window, self.context, self.bundle.identity)

    def _target(self, photograph: Photograph, progress: _Progress) -> Path:
        def make() -> np.ndarray:
            with progress.work():
                return self._output(photograph)

        return cache.keep(self._key(photograph), make)

    def _output(self, photograph: Photograph) -> np.ndarray:
        """Return the teacher's output (s*h,s*w,C) for a crop, uint16."""
        assert photograph.lq_path is not None
        image = cache.open_array(photograph.lq_path)
        inner = photograph.window or Window(0, 0, *image.shape[:2])
        outer = inner.extended(up(self.context, self._multiple_of), *image.shape[:2])
        lq = io.to_tensor(image[outer.rows, outer.columns])
        restored = self.run(lq, photograph.name)
        s = self.bundle.architecture.task.scale
        top, left = s * (inner.top - outer.top), s * (inner.left - outer.left)
        target = restored[:, top : top + s * inner.height, left : left + s * inner.width]
        return target.clamp(0, 1).mul(TOP).round().permute(1, 2, 0).contiguous().numpy().astype(np.uint16)

    @torch.no_grad()
    def run(self, lq: Tensor, name: str) -> Tensor:
        """Return the teacher's output (C,s*h,s*w) for lq (C,h,w), on the CPU. Raises RunError if it is not an image."""
        scale, (channels, height, width) = self.bundle.architecture.task.scale, lq.shape
        padded = suiting(lq, self._multiple_of)
        restored = self._network()(padded[None].to(self.device))[0].float().cpu()
        expected = (channels, scale * padded.shape[1], scale * padded.shape[2])
        if tuple(restored.shape) != expected:
            raise RunError(
                f"teacher: returns {tuple(restored.shape)} for {tuple(padded.shape)}, not {expected}; its weights file "
                f"says scale {scale}, give another file"
            )
        if not bool(restored.isfinite().all()):
            raise RunError(f"teacher: gives NaN or infinite values for {name}; exclude it, or give other weights")
        return restored[:, : scale * height, : scale * width]

    @property
    def _multiple_of(self) -> int:
        return self.bundle.architecture.branches[-1].multiple_of

    def _network(self) -> nn.Module:
        """Return the teacher, built on first use: a finished cache needs none."""
        if not self._loaded:
            self._loaded.append(self.bundle.branches[-1].module().to(self.device))
        return self._loaded[0]


class _Progress:
    """Lines about crops that are done, with the seconds of each and the remaining time."""

    def __init__(self, total: int, say: Callable[[str], None]):
        self._total, self._say = total, say
        self._done = self._made = 0
        self._seconds = 0.0
        self._said = self._began = time.perf_counter()

    def work(self) -> _Progress:
        return self

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds += time.perf_counter() - self._began
        self._made += 1

    def move(self) -> None:
        """Count a crop, and say how far the work is if that was long ago, or after the first that took time."""
        self._done += 1
        now = time.perf_counter()
        is_last = self._done == self._total
        if not self._made or not (self._made == 1 or is_last or now - self._said >= REPORTED):
            return
        each = self._seconds / self._made
        rest = "" if is_last else f", {duration(each * (self._total - self._done))} left"
        self._say(f"teacher: {self._done} of {self._total} crops, {each:.2f} s each{rest}")
        self._said = now


def check(recipe: Recipe, registry: Registry) -> None:
    """Raise RecipeError or WeightsError if the teacher does not fit the task, or data sets need one."""
    splits = {split: getattr(recipe.data, split) for split in ("train", "valid", "test")}
    alone = [
        name for name, dataset in splits.items() if dataset and any(photo.gt is None for photo in _photos(dataset))
    ]
    if recipe.teacher is None:
        if alone:
            raise RecipeError(f"data.{alone[0]}: has images without ground truth; name a `teacher`")
        return
    if recipe.task.random and "train" not in alone and recipe.data.train:
        raise RecipeError("teacher: the task's degradation is random; a teacher needs a fixed one, or data without gt")
    weights.check_task(pretrained.find(Path(recipe.teacher.weights), registry), recipe.task, "teacher", registry)


def has_only_lq(recipe: Recipe) -> bool:
    """Return True if no data set of the recipe has ground truth, so that nothing is ever degraded."""
    sets = [dataset for dataset in (recipe.data.train, recipe.data.valid, recipe.data.test) if dataset]
    return bool(sets) and all(photo.gt is None for dataset in sets for photo in _photos(dataset))


def _photos(dataset: Dataset) -> tuple[Photo, ...]:
    """Return the photographs of a data set; none if it is broken, which is reported elsewhere."""
    try:
        return dataset.photos()
    except (LowvisionError, OSError):
        return ()


def load(
    name: str, context: int, registry: Registry, device: torch.device, say: Callable[[str], None]
) -> TeacherTargets:
    """Open the teacher; its tensors are read when a target is missing."""
    bundle = trained_networks.read(pretrained.find(Path(name), registry), registry)
    return TeacherTargets(bundle, context, device, say)


def with_targets(
    photographs: Sequence[Photograph], split: str, recipe: Recipe, targets: TeacherTargets, share: tuple[int, int]
) -> tuple[Photograph, ...]:
    """Return a split of the recipe with the teacher's outputs as targets: crops of `train`, centres of the others.

    A centre is restored as a whole image, without context.
    share: this process computes the targets share[0], share[0] + share[1], ... only.
    """
    teacher, task = recipe.teacher, recipe.task
    assert teacher is not None
    if split == "train":
        chosen = crops.drawn(photographs, teacher.crops, teacher.size, recipe.seed)
    else:
        chosen = [crops.centre(photograph, teacher.centre) for photograph in photographs]
        targets = replace(targets, context=0)
    _refuse_random(chosen, task)
    return targets.taught(chosen[share[0] :: share[1]])


def _refuse_random(photographs: Sequence[Photograph], task: Task) -> None:
    if any(photograph.lq_path is None for photograph in photographs):
        raise RunError(f"teacher: the degradation of {type(task).__name__} is random; give images without ground truth")
