"""Claims about enlarging and halving features."""

from __future__ import annotations

import math

import pytest
import torch

from lowvision import layers, upsample


def test_upsampling_steps_multiply_to_every_scale() -> None:
    assert all(math.prod(steps) == scale for scale, steps in layers.STEPS.items())


def test_a_skip_adds_the_interpolated_input() -> None:
    lq, image = torch.rand(1, 3, 5, 6), torch.rand(1, 3, 10, 12)
    assert layers.add_skip(image, lq, 2, "none") is image
    torch.testing.assert_close(layers.add_skip(image, lq, 2, "bicubic"), image + upsample(lq, 2, "bicubic"))


@pytest.mark.parametrize("scale", layers.STEPS)
def test_shuffling_enlarges_features_by_the_scale(scale: int) -> None:
    assert layers.upsampler(4, scale)(torch.rand(1, 4, 5, 6)).shape == (1, 4, 5 * scale, 6 * scale)


@pytest.mark.parametrize(("side", "half"), [(1, 1), (4, 2), (5, 3)])
def test_halving_averages_pairs_and_keeps_the_last_line_of_an_odd_size(side: int, half: int) -> None:
    features = torch.arange(float(side)).expand(1, 1, side, side)
    expected = [min(2 * k + 0.5, side - 1.0) for k in range(half)]
    torch.testing.assert_close(layers.halved(features), torch.tensor(expected).expand(1, 1, half, half))
