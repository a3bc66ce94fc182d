"""JPEG compression of an image in memory, by OpenCV's libjpeg."""

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
MAX_SIDE = 65_500
"""Largest side in pixels that libjpeg writes (its JPEG_MAX_DIMENSION)."""


def compressed(image: Tensor, quality: int, subsampling: str, top: int = 0, left: int = 0) -> Tensor:
    """Encode and decode image (C,H,W) in [0,1], RGB or grey; the result is 8 bit, in [0,1], dtype and device are kept.

    The block grid starts `top` pixels above the image and `left` pixels to its left; edge pixels are replicated there.
    Raises DataError if a side is too long for JPEG.
    """
    pixels = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()  # (H,W,C)
    pixels = np.pad(pixels, ((top, 0), (left, 0), (0, 0)), mode="edge")
    height, width, channels = pixels.shape
    if max(height, width) > MAX_SIDE:
        raise DataError(f"an image of {width}x{height} cannot be JPEG: a side has at most {MAX_SIDE} pixels")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, FACTORS[subsampling]]
    # OpenCV uses BGR; reversing the single channel of a grey image changes nothing.
    encoded = cv2.imencode(".jpg", pixels[:, :, ::-1].copy(), options)[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE)
    assert decoded is not None  # it was encoded a line above
    decoded = decoded.reshape(height, width, channels)[top:, left:, ::-1].transpose(2, 0, 1)
    return torch.from_numpy(decoded.copy()).to(image).div(255)
