"""Transforms of pixel values by their names in albumentations, for degradations; drawn from a seed per call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowvision.config.validation import as_error
from lowvision.data import augment


class PixelTransform:
    """One transform of pixel values; the result depends only on the image and the seed of the call."""

    def __init__(self, name: str, arguments: Mapping[str, Any]):
        """Create it. Raises pydantic's ValidationError if there is no such transform, or an argument is wrong."""
        transform = augment.transform({name: arguments}, augment.of_pixels)
        if isinstance(transform, list):
            raise as_error(name, transform)
        self._transform = transform

    def __call__(self, pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """Return the transformed image (H,W,C), uint8."""
        self._transform.set_random_seed(seed)
        result: NDArray[np.uint8] = self._transform(image=np.ascontiguousarray(pixels))["image"]
        return result.reshape(pixels.shape)
