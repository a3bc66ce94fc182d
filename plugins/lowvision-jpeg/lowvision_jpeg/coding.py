"""Writes an image as JPEG and reads it again, in memory, by OpenCV's libjpeg."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from lowvision import DataError

FACTORS = {
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}
LONGEST = 65_500
"""Pixels of a side that libjpeg writes (its JPEG_MAX_DIMENSION)."""


def coded(image: Tensor, quality: int, subsampling: str, top: int = 0, left: int = 0) -> Tensor:
    """image (C,H,W) in [0,1], RGB or grey, as JPEG gives it back: of 8 bit, in [0,1], same dtype and device.

    The grid of blocks starts `top` pixels above the image and `left` of it, where the edge pixels go on.
    Raises DataError where a side is longer than JPEG can be.
    """
    pixels = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()  # (H,W,C)
    pixels = np.pad(pixels, ((top, 0), (left, 0), (0, 0)), mode="edge")
    height, width, channels = pixels.shape
    if max(height, width) > LONGEST:
        raise DataError(f"an image of {width}x{height} cannot be JPEG: a side has at most {LONGEST} pixels")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, FACTORS[subsampling]]
    # OpenCV thinks in BGR; grey is the same from both ends.
    written = cv2.imencode(".jpg", pixels[:, :, ::-1].copy(), options)[1]
    read = cv2.imdecode(written, cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE)
    assert read is not None  # it was written a line above
    read = read.reshape(height, width, channels)[top:, left:, ::-1].transpose(2, 0, 1)
    return torch.from_numpy(read.copy()).to(image).div(255)
