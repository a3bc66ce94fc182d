"""Photographs for tiles: decoded, resized and degraded once, then memory-mapped from the cache."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic_core import to_jsonable_python
from torch import Tensor

from lowvision.config.options import Options
from lowvision.data import sources
from lowvision.data.listing import Listed, listed
from lowvision.errors import DataError
from lowvision.imaging import io, luma
from lowvision.imaging.resize import resize
from lowvision.plugins.contracts import Dataset, Photo, Task
from lowvision.plugins.stored import Stored
from lowvision.system import cache, cores, source_code
from lowvision.system.out_of_memory import is_out_of_memory

DECODING = "lowvision.imaging"
"""Package that determines the pixels of a decoded and resized photograph, besides its file and treatment."""
MOST_DECODERS = 16
"""Maximum number of photographs decoded at once: 150 MB each at 2K."""


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, in LQ pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.width)

    def extended(self, margin: int, height: int, width: int) -> Window:
        """Return the window with a margin on each side, as far as an image of that size has pixels."""
        top, left = max(0, self.top - margin), max(0, self.left - margin)
        bottom = min(height, self.top + self.height + margin)
        return Window(top, left, bottom - top, min(width, self.left + self.width + margin) - left)


@dataclass(frozen=True)
class Photograph:
    """One photograph at one size; its arrays (H,W,C), uint8, uint16 or float32, are memory-mapped."""

    name: str
    gt_path: Path | None
    """None if the ground truth is unknown."""
    lq_path: Path | None
    """None for random degradations, which are drawn on each use."""
    scale: int
    identity: str = ""
    """Hash of the file and its treatment, independent of the code that decodes it."""
    source: Path | Stored | None = None
    """Stored form of the ground truth."""
    window: Window | None = None
    """The part of the array at `lq_path` that this photograph is; None: all of it."""
    is_taught: bool = False
    """True: `gt` is the output of a teacher."""
    part: int = 0
    """Number of the data set that it is from, if several are mixed."""

    @property
    def is_grey(self) -> bool:
        """Return True if the file of the ground truth has one channel; it is decoded for that."""
        return self.source is not None and sources.is_grey(self.source)

    @property
    def gt(self) -> np.ndarray:
        if self.gt_path is None:
            raise DataError(f"{self.name}: has no ground truth; name a teacher in the recipe, whose output replaces it")
        return cache.open_array(self.gt_path)

    @property
    def lq(self) -> np.ndarray | None:
        if self.lq_path is None:
            return None
        whole = cache.open_array(self.lq_path)
        return whole if self.window is None else whole[self.window.rows, self.window.columns]

    @property
    def lq_size(self) -> tuple[int, int]:
        """Height and width of lq in pixels."""
        if self.window is not None:
            return self.window.height, self.window.width
        if self.gt_path is None and self.lq is not None:
            return self.lq.shape[0], self.lq.shape[1]
        height, width = self.gt.shape[:2]
        return height // self.scale, width // self.scale


class TooSmallError(DataError):
    """A photograph is smaller than one LQ pixel."""


def prepare(
    dataset: Dataset, task: Task, share: tuple[int, int] = (0, 1), skip: tuple[type[DataError], ...] = ()
) -> None:
    """Fill the cache with photographs share[0], share[0] + share[1], ... of the set.

    Raises DataError that names all photographs that cannot be used, except for errors of types `skip`.
    """
    results = _each(listed(dataset)[share[0] :: share[1]], task)
    errors = [str(result) for result in results if isinstance(result, DataError) and not isinstance(result, skip)]
    if errors:
        raise DataError("\n".join(errors))


def load(dataset: Dataset, task: Task) -> tuple[Photograph, ...]:
    """Return all photographs of the set at all of its sizes, in a fixed order. Raises DataError as `prepare` does."""
    return load_usable(dataset, task, ())[0]


def load_usable(
    dataset: Dataset, task: Task, skip: tuple[type[DataError], ...]
) -> tuple[tuple[Photograph, ...], list[DataError]]:
    """Return the photographs as `load` does, but omit those with an error of types `skip`, and return these errors.

    Raises DataError for errors of other types, and if no photograph is left.
    """
    results = _each(listed(dataset), task)
    left_out = [result for result in results if isinstance(result, DataError)]
    photographs = [photograph for result in results if not isinstance(result, DataError) for photograph in result]
    errors = [error for error in left_out if not (photographs and isinstance(error, skip))]
    if errors:
        raise DataError("\n".join(map(str, errors)))
    return _opened(photographs), left_out


def load_one(item: Listed, task: Task) -> tuple[Photograph, ...]:
    """Return one photograph of a set at all of its sizes. Raises DataError."""
    return _opened(_loaded(item, task))


def _opened(photographs: list[Photograph]) -> tuple[Photograph, ...]:
    """Open the arrays of photographs, and trim the cache to its limit."""
    paths = frozenset(path for p in photographs for path in (p.gt_path, p.lq_path) if path)
    for path in paths:
        cache.open_array(path)  # open files stay readable after another set or run has trimmed the cache
    cache.trim(paths)
    return tuple(photographs)


def lq_of(photograph: Photograph, task: Task, seed: int) -> Tensor:
    """Return the whole lq (C,h,w), nominally in [0,1]; random degradations are drawn from `seed`."""
    if photograph.lq is not None:
        return io.to_tensor(photograph.lq)
    return task.degrade(io.to_tensor(photograph.gt), torch.Generator().manual_seed(seed))


def _each(items: Sequence[Listed], task: Task) -> list[list[Photograph] | DataError]:
    def load_or_error(item: Listed) -> list[Photograph] | DataError:
        try:
            return _loaded(item, task)
        except DataError as error:
            return error

    threads_per_operation = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(decoders(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(load_or_error, items))
    finally:
        torch.set_num_threads(threads_per_operation)  # later threads start with the number that was set last


def _loaded(item: Listed, task: Task) -> list[Photograph]:
    """Decode a photograph at all of its sizes. Raises DataError."""
    try:
        each = [_photograph(item.photo, item.dataset, task, multiple) for multiple in item.dataset.scales]
        return [replace(photograph, part=item.part) for photograph in each]
    except OSError as error:  # the file vanished, or may not be opened
        name = error.filename or item.photo.name
        raise DataError(f"{name}: cannot be read: {error.strerror}; exclude it") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise DataError(
            f"{item.photo.name}: needs more memory than there is; exclude it, or make it smaller"
        ) from error


def decoders() -> int:
    """Return the number of photographs that this process decodes at once; each takes several float32 copies."""
    return min(MOST_DECODERS, cores.per_process())


def _photograph(photo: Photo, dataset: Dataset, task: Task, multiple: float) -> Photograph:
    """Return one photograph at `multiple` of its size; its arrays are written to the cache if missing."""
    name = photo.name if multiple == 1 else f"{photo.name}@{multiple:g}"
    treatment = [dataset.downscale, dataset.longer_side, multiple, task.scale, task.channels]
    decoding = source_code.of_modules(DECODING)
    if photo.gt is None:
        return _without_gt(photo, name, dataset, task, multiple)
    source = photo.gt
    identity = cache.key("gt", sources.fingerprint(source), treatment)
    gt_name = cache.key(identity, decoding)
    gt_path = cache.keep(gt_name, lambda: _gt(source, dataset, task, multiple))
    prepared = Photograph(name, gt_path, None, task.scale, identity, source)
    if photo.lq:
        if treatment[:3] != [1.0, None, 1.0]:
            raise DataError(f"{photo.lq}: pairs of files cannot be resized; omit downscale, longer_side and scales")
        lq_name = cache.key(
            "paired", sources.fingerprint(photo.lq), sources.fingerprint(source), task.scale, task.channels, decoding
        )
        return replace(prepared, lq_path=cache.keep(lq_name, lambda: _paired_lq(photo, task)))
    if task.random:
        return prepared
    lq_name = cache.key("lq", gt_name, *_degradation(task))
    return replace(prepared, lq_path=cache.keep(lq_name, lambda: _degraded(gt_path, task)))


def _degradation(value: Any) -> Any:
    """Return what determines lq besides gt: the task and those in its options, their options, and their sources."""
    if isinstance(value, tuple | list):
        return [_degradation(item) for item in value]
    if not isinstance(value, Options):
        return to_jsonable_python(value)
    kind = type(value)
    options = {name: _degradation(option) for name, option in value}
    return [kind.__module__, kind.__name__, options, source_code.of_component(kind)]


def _without_gt(photo: Photo, name: str, dataset: Dataset, task: Task, multiple: float) -> Photograph:
    """Return a degraded image without ground truth; it is resized as the ground truth of others would be."""
    path = photo.lq
    if path is None:
        raise DataError(f"{photo.name}: has neither ground truth nor a degraded image; its data set is broken")
    treatment = [dataset.downscale, dataset.longer_side, multiple, task.channels]
    identity = cache.key("lq alone", sources.fingerprint(path), treatment)
    lq_name = cache.key(identity, source_code.of_modules(DECODING))
    lq_path = cache.keep(lq_name, lambda: _quantised(*_resized(path, dataset, task, multiple)))
    return Photograph(name, None, lq_path, task.scale, identity)


def _gt(path: Path | Stored, dataset: Dataset, task: Task, multiple: float) -> np.ndarray:
    gt, dtype = _resized(path, dataset, task, multiple)
    height, width = (side // task.scale * task.scale for side in gt.shape[1:])
    if not height or not width:
        raise TooSmallError(f"{path}: {gt.shape[2]}x{gt.shape[1]} is too small for scale {task.scale}; exclude it")
    return _quantised(gt[:, :height, :width], dtype)


def _resized(path: Path | Stored, dataset: Dataset, task: Task, multiple: float) -> tuple[Tensor, np.dtype]:
    """Decode an image and resize it by the options of the data set; return (C,H,W) and the dtype of the file."""
    array = sources.read_rgb(path)
    image = _with_channels(io.to_tensor(array), task)
    height, width = image.shape[1:]
    factor = multiple / dataset.downscale
    if dataset.longer_side:
        factor = min(factor, multiple * dataset.longer_side / max(height, width))
    return resize(image, (max(round(height * factor), 1), max(round(width * factor), 1))), array.dtype


def _degraded(gt_path: Path, task: Task) -> np.ndarray:
    gt = cache.open_array(gt_path)
    # Rounded to the depth of a file: the usual protocol, and the input of networks in use.
    return _quantised(task.degrade(io.to_tensor(gt), torch.Generator()), gt.dtype)


def _paired_lq(photo: Photo, task: Task) -> np.ndarray:
    assert photo.lq is not None
    assert photo.gt is not None
    lq, gt = sources.read_rgb(photo.lq), sources.read_rgb(photo.gt)
    if any(g // task.scale != q for g, q in zip(gt.shape[:2], lq.shape[:2], strict=True)):
        raise DataError(
            f"{photo.lq}: {lq.shape[1]}x{lq.shape[0]} does not fit gt {gt.shape[1]}x{gt.shape[0]}; "
            f"at scale {task.scale} it must be {gt.shape[1] // task.scale}x{gt.shape[0] // task.scale}"
        )
    return _quantised(_with_channels(io.to_tensor(lq), task), lq.dtype)


def _with_channels(rgb: Tensor, task: Task) -> Tensor:
    """Convert (3,H,W) to the task's channels (C,H,W); grey is BT.601 luma."""
    if task.channels == 3:
        return rgb
    return luma.grey(rgb)


def _quantised(image: Tensor, dtype: np.dtype) -> np.ndarray:
    """Convert (C,H,W) in [0,1] to (H,W,C), clamped: of an integer type, rounded, or of float32."""
    pixels = image.clamp(0, 1)
    if np.issubdtype(dtype, np.integer):
        pixels = pixels.mul(np.iinfo(dtype).max).round()
    return pixels.permute(1, 2, 0).contiguous().numpy().astype(dtype)
