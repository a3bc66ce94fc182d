"""Claims about the edge score of a tile and the table from edge score to expected quality."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowvision.layers import EdgeTable, blurred, gaussian


@given(st.floats(0.3, 6))
def test_the_taps_of_a_blur_are_symmetric_and_sum_to_one(sigma: float) -> None:
    taps = gaussian(sigma)
    torch.testing.assert_close(taps.sum(), torch.tensor(1.0))
    assert torch.equal(taps, taps.flip(0))
    assert taps.argmax() == len(taps) // 2


def test_a_blur_of_zero_changes_nothing() -> None:
    grey = torch.rand(1, 1, 4, 5)
    assert torch.equal(blurred(grey, gaussian(0)), grey)


def test_a_blur_keeps_the_size_and_flat_areas_up_to_the_border() -> None:
    flat = torch.full((2, 1, 6, 9), 0.4)
    torch.testing.assert_close(blurred(flat, gaussian(1.5)), flat)


def test_the_edge_score_is_zero_on_flat_tiles_and_gradients_and_grows_with_contrast() -> None:
    table, ramp = EdgeTable(ways=2, bins=4), torch.arange(8.0).expand(1, 3, 8, 8) / 8
    torch.testing.assert_close(table.edges(ramp), torch.zeros(1), atol=1e-6, rtol=0)
    step = (ramp > 0.4).float()
    torch.testing.assert_close(table.edges(step), 2 * table.edges(step / 2))
    assert table.edges(step) > 0.1


def test_before_fitting_each_way_is_predicted_to_be_better_than_the_one_before() -> None:
    predicted = EdgeTable(ways=3, bins=5)(torch.rand(4, 3, 8, 8))
    assert predicted.shape == (4, 3)
    assert (predicted.diff(dim=1) > 0).all()


def test_the_fitted_table_returns_the_mean_quality_of_tiles_of_like_edges() -> None:
    torch.manual_seed(0)
    noise = torch.rand(1, 1, 8, 8) - 0.5
    contrasts = torch.linspace(0.1, 0.9, 8)
    tiles = 0.5 + noise * contrasts[:, None, None, None]
    reached = torch.stack([40 - 10 * contrasts, 41 - 10 * contrasts], dim=1)
    table = EdgeTable(ways=2, bins=4)
    table.fit(tiles, reached)
    pairs = reached.unflatten(0, (4, 2)).mean(dim=1).repeat_interleave(2, dim=0)
    torch.testing.assert_close(table(tiles), pairs)


@pytest.mark.parametrize("reached", [torch.tensor([[30.0, 29.0]]), torch.tensor([[30.0, 30.0]])])
def test_a_larger_branch_is_never_predicted_to_be_worse(reached: torch.Tensor) -> None:
    table, alike = EdgeTable(ways=2, bins=6), torch.rand(1, 3, 8, 8).expand(5, -1, -1, -1)
    table.fit(alike, reached.expand(5, 2))
    # Tiles that are all alike leave bins empty; these take the values of the nearest bin.
    assert torch.equal(table.table, torch.full((6, 2), 30.0))
