"""Convert the images of a caller, NumPy arrays or tensors, to planes (B,C,H,W), and write restored rows back."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.errors import DataError, RunError
from lowvision.imaging import alpha as hidden_colour
from lowvision.imaging.image import converted

Kind = TypeVar("Kind", NDArray[Any], Tensor)
"""The image type of the caller."""
DTYPES = (np.uint8, np.uint16, np.float32)
CONVERTED_ROWS = 32
"""Rows that are converted together: what lies between the steps stays in the cache of the processor."""
TENSOR_DTYPES = {np.uint8: torch.uint8, np.uint16: torch.uint16, np.float32: torch.float32}


def to_planes(image: NDArray[Any] | Tensor) -> Tensor:
    """Convert any image that `restore` accepts to (B,C,H,W); values and dtype of integers are unchanged."""
    if isinstance(image, Tensor):
        if not image.is_floating_point():
            raise TypeError(f"a tensor must be floating point in [0,1], not {image.dtype}; give integers as an array")
        planes = image.detach().float()
        planes = planes if planes.ndim == 4 else planes[None]
    else:
        if image.dtype not in DTYPES:
            raise TypeError(f"an array must be uint8, uint16 or float32, not {image.dtype}; convert it")
        if image.ndim != 3:
            raise ValueError(f"an array must be (H,W,C), not {image.shape}; grey is (H,W,1)")
        planes = torch.from_numpy(np.require(image, requirements=["C", "W"])).permute(2, 0, 1)[None].contiguous()
    if planes.ndim != 4 or planes.shape[1] not in (1, 3, 4) or not planes.numel():
        raise ValueError(
            f"{tuple(image.shape)} is not the shape of an image; C must be 1, 3 or 4, and every side at least 1"
        )
    if planes.is_floating_point() and not planes.isfinite().all():
        raise DataError("has pixels that are NaN or infinite; replace them by finite values")
    return planes


def visible_colour(planes: Tensor) -> Tensor:
    """Return the colour (3,H,W) of RGBA planes (4,H,W), without the colour that is hidden below alpha 0."""
    if bool((planes[3] != 0).all()):
        return planes[:3]
    pixels = hidden_colour.bled(planes.permute(1, 2, 0).cpu().numpy())
    return torch.from_numpy(pixels).permute(2, 0, 1)[:3].to(planes.device)


def empty_result(image: Kind, scale: int, pinned: bool = False) -> Kind:
    """Allocate the result for an image of that type; an array in pinned memory if an accelerator will write it."""
    if isinstance(image, Tensor):
        return image.new_empty(*image.shape[:-2], *(scale * side for side in image.shape[-2:]))
    height, width, channels = image.shape
    shape = (scale * height, scale * width, channels)
    if pinned:
        return torch.empty(shape, dtype=TENSOR_DTYPES[image.dtype.type], pin_memory=True).numpy()
    return np.empty(shape, image.dtype)


def write_rows(result: NDArray[Any] | Tensor, n: int, channels: slice, row: int, rows: Tensor) -> None:
    """Write restored rows (c,h,w) into channels of image n of a result, starting at `row`."""
    if isinstance(result, Tensor):
        (result if result.ndim == 4 else result[None])[n, channels, row : row + rows.shape[1]] = rows
    elif rows.device.type != "cpu":
        write_from_device(result, channels, row, rows)
    else:
        planes = rows.float().numpy()
        for first in range(0, rows.shape[1], CONVERTED_ROWS):
            values = planes[:, first : first + CONVERTED_ROWS]
            part = result[row + first : row + first + values.shape[1]]
            _interleave(values if result.dtype == np.float32 else converted(values, result.dtype), part, channels)


def _interleave(planes: NDArray[Any], pixels: NDArray[Any], channels: slice) -> None:
    """Copy planes (c,h,w) to some channels of contiguous pixels (h,w,C) of the same dtype."""
    if len(planes) == pixels.shape[2] > 1:
        cv2.merge(list(planes), pixels)  # quicker than copying plane by plane
    else:
        for number, plane in zip(range(pixels.shape[2])[channels], planes, strict=True):  # quicker than pixel by pixel
            pixels[:, :, number] = plane


def write_from_device(result: NDArray[Any], channels: slice, row: int, rows: Tensor) -> None:
    """Write rows (c,h,w) of an accelerator as `write_rows` does, converted there: a quarter of the bytes is copied.

    A copy into pinned memory is only queued: the caller must synchronise before the result is read.
    """
    part = torch.from_numpy(result)[row : row + rows.shape[1], :, channels]
    part.copy_(_converted(rows, part.dtype), non_blocking=True)


def _converted(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert (C,h,w) to (h,w,C) of a dtype as `io.to_pixels` does, to the same values."""
    pixels = rows.permute(1, 2, 0).float()
    if not dtype.is_floating_point:
        # Accelerators lack operations on uint16; its values fit into int32 and are narrowed by the copy.
        narrow = torch.int32 if dtype == torch.uint16 else dtype
        pixels = pixels.clamp(0, 1).mul(torch.iinfo(dtype).max).add(0.5).to(narrow)
    return pixels.contiguous()


def check_finite(rows: Tensor, first: int) -> None:
    """Raise RunError if restored rows (C,h,w) hold values that are not finite; `first`: number of the first row."""
    if bool(rows.sum().isfinite()):
        return  # one pass over memory; the sum of finite values may overflow, therefore the second look
    finite = rows.isfinite()
    if not bool(finite.all()):
        _, row, column = (~finite).nonzero()[0].tolist()
        raise RunError(
            f"the network gave NaN or infinite values, first at row {first + row}, column {column} of the result; "
            "try --precision f32, another --runtime, or other weights"
        )
