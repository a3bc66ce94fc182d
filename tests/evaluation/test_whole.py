"""Claims about restoring a whole image if memory is short: in bands, with the same result."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lowvision.errors import LowvisionError
from lowvision.evaluation.whole import restore_whole


class Limited:
    """A network of reach 2 at scale 2 that runs out of memory above a number of rows, and notes the heights."""

    def __init__(self, rows: int, multiple_of: int = 1, error: Exception | None = None) -> None:
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 3, padding=1), nn.Upsample(scale_factor=2)
        ).double()
        self.rows, self.multiple_of, self.error = rows, multiple_of, error or torch.OutOfMemoryError("out of memory")
        self.heights: list[int] = []

    @torch.no_grad()
    def __call__(self, batch: Tensor) -> Tensor:
        height = batch.shape[2]
        assert height % self.multiple_of == 0
        self.heights.append(height)
        if height > self.rows:
            raise self.error
        return self.layers(batch)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(24, 90), rows=st.integers(24, 90))
def test_bands_give_the_result_of_the_whole_image(height: int, rows: int) -> None:
    image = torch.rand(3, height, 7, dtype=torch.float64)
    whole = restore_whole(Limited(1000), image, 2, reach=2)
    torch.testing.assert_close(restore_whole(Limited(rows), image, 2, reach=2), whole, rtol=0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(6, 20), rows=st.integers(32, 60))
def test_every_band_has_a_height_that_the_network_takes(height: int, rows: int) -> None:
    image = torch.rand(3, 4 * height, 8, dtype=torch.float64)
    whole = restore_whole(Limited(1000), image, 2, reach=2)
    network = Limited(rows, multiple_of=4)
    torch.testing.assert_close(restore_whole(network, image, 2, reach=2, multiple_of=4), whole, rtol=0, atol=1e-12)


def test_bands_are_halved_until_they_fit_and_are_never_context_alone() -> None:
    network = Limited(0)
    with pytest.raises(LowvisionError, match=r"^out of memory with a whole image of 7x200$"):
        restore_whole(network, torch.rand(3, 200, 7, dtype=torch.float64), 2, reach=2)
    assert network.heights == [200, *(rows + 2 for rows in (100, 50, 25, 12))]  # 2 rows of context at one side


def test_a_network_that_sees_its_whole_input_is_not_cut() -> None:
    network = Limited(50)
    with pytest.raises(LowvisionError, match="out of memory"):
        restore_whole(network, torch.rand(3, 60, 7, dtype=torch.float64), 2, reach=None)
    assert network.heights == [60]


def test_an_error_that_is_not_about_memory_is_raised_at_once() -> None:
    network = Limited(50, error=RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        restore_whole(network, torch.rand(3, 60, 7, dtype=torch.float64), 2, reach=2)
    assert network.heights == [60]
