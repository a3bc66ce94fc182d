"""Claims about transforms of pixel values by their names in albumentations."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from lowvision.data.pixel_transforms import PixelTransform

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 12, 3), dtype=np.uint8)


def test_the_result_depends_on_image_and_seed_alone() -> None:
    noise, again = (PixelTransform("GaussNoise", {"p": 1.0}) for _ in range(2))
    first = noise(PIXELS, 1)
    assert not np.array_equal(noise(PIXELS, 2), first)
    assert np.array_equal(noise(PIXELS, 1), first)
    assert np.array_equal(again(PIXELS, 1), first)
    assert not np.array_equal(first, PIXELS)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_shape_is_kept_and_views_are_accepted(channels: int) -> None:
    view = PIXELS[::-1, :, :channels]
    result = PixelTransform("GaussNoise", {"p": 1.0})(view, 1)
    assert (result.shape, result.dtype) == (view.shape, np.uint8)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("GausNoise", {}, "GaussNoise"),
        ("GaussNoise", {"sigma": 1}, "sigma"),
        ("HorizontalFlip", {}, "HorizontalFlip"),
    ],
)
def test_an_unknown_or_geometric_transform_or_argument_is_refused(
    name: str, arguments: dict[str, int], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        PixelTransform(name, arguments)
