"""Claims about the measured error near the border of windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lowvision.routing import window_borders
from lowvision.routing.engine import Engine
from lowvision.routing.networks import Networks
from lowvision.routing.regions import Geometry

REACH = 6
"""Pixels beyond which the base below sees nothing."""


def blurred(tiles: Tensor) -> Tensor:
    """Return means over a square; beyond the border of a tile there are zeros."""
    return functional.avg_pool2d(tiles, 2 * REACH + 1, stride=1, padding=REACH)


def engine(merge: int = 4) -> Engine:
    networks = Networks(
        classify=lambda tiles: torch.zeros(len(tiles), 2),
        branches=(torch.zeros_like, blurred),
        costs=lambda shape: (1, 9),
        classifier_cost=lambda shape: 0,
    )
    return Engine(networks, scale=1, size=16, overlap=4, geometry=Geometry(merge))


@pytest.fixture
def bright() -> Tensor:
    return torch.full((1, 232, 232), 0.5)


def test_the_error_falls_with_the_distance_and_ends_where_the_base_sees_enough(bright: Tensor) -> None:
    border = window_borders.relative([window_borders.measure(engine(), bright, bright)])
    assert border[0] > 0
    assert list(border) == sorted(border, reverse=True)
    assert max(border[REACH + window_borders.BIN :]) < 1e-6  # rounding


def test_the_error_is_relative_to_that_of_the_branch_before_at_the_same_pixels(bright: Tensor) -> None:
    measured = window_borders.measure(engine(), bright, bright)
    pixels = measured.before / 0.25  # the branch before returns zeros
    assert np.allclose(pixels, pixels.round())
    doubled = replace(measured, before=2 * measured.before)
    once, half = (window_borders.relative([each]) for each in (measured, doubled))
    assert np.allclose(np.array(once), 2 * np.array(half))


def test_images_of_one_window_have_no_border(bright: Tensor) -> None:
    small = bright[:, :16, :16]
    assert window_borders.relative([window_borders.measure(engine(), small, small)]) == ()
    assert window_borders.relative([]) == ()


def test_the_border_of_the_image_does_not_count(bright: Tensor) -> None:
    """The target of a crop is made with more context; what is missing at its border says nothing about windows."""
    wrong = bright.clone()
    wrong[:, :8], wrong[:, -8:], wrong[:, :, :8], wrong[:, :, -8:] = 0, 0, 0, 0
    right, other = (window_borders.measure(engine(), bright, target) for target in (bright, wrong))
    assert np.array_equal(right.base, other.base)


def test_a_distance_without_an_error_to_compare_takes_the_value_before_it_or_the_first() -> None:
    measured = [
        window_borders.Errors(np.array([0.0, 3.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0, 2.0])),
        window_borders.Errors(np.array([0.0, 1.0]), np.array([0.0, 1.0])),
    ]
    assert window_borders.relative(measured)[:: window_borders.BIN] == (2.0, 2.0, 2.0, 0.5)
