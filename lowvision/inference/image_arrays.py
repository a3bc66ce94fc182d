"""Convert the images of a caller, NumPy arrays or tensors, to planes (B,C,H,W), and write restored rows back."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.errors import DataError
from lowvision.imaging import io

Kind = TypeVar("Kind", NDArray[Any], Tensor)
"""The image type of the caller."""
DTYPES = (np.uint8, np.uint16, np.float32)


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
        planes = torch.from_numpy(np.require(image, requirements=["C", "W"])).permute(2, 0, 1)[None]
    if planes.ndim != 4 or planes.shape[1] not in (1, 3, 4) or not planes.numel():
        raise ValueError(
            f"{tuple(image.shape)} is not the shape of an image; C must be 1, 3 or 4, and every side at least 1"
        )
    if planes.is_floating_point() and not planes.isfinite().all():
        raise DataError("has pixels that are NaN or infinite; replace them by finite values")
    return planes


def empty_result(image: Kind, scale: int) -> Kind:
    """Allocate the result for an image of that type."""
    if isinstance(image, Tensor):
        return image.new_empty(*image.shape[:-2], *(scale * side for side in image.shape[-2:]))
    height, width, channels = image.shape
    return np.empty((scale * height, scale * width, channels), image.dtype)


def write_rows(result: NDArray[Any] | Tensor, n: int, channels: slice, row: int, rows: Tensor) -> None:
    """Write restored rows (c,h,w) into channels of image n of a result, starting at `row`."""
    if isinstance(result, Tensor):
        (result if result.ndim == 4 else result[None])[n, channels, row : row + rows.shape[1]] = rows
    else:
        result[row : row + rows.shape[1], :, channels] = io.to_pixels(rows, result.dtype)
