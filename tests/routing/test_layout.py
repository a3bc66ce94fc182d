"""Claims about layouts: stretches hold every row of tiles once, and a choice costs what its windows cost."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowvision.routing.layout import Layout
from lowvision.routing.regions import Geometry
from lowvision.routing.tiling import plan


def pixels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the costs of two branches: one and ten per pixel."""
    _, height, width = shape
    return height * width, 10 * height * width


def layout(height: int, width: int, geometry: Geometry, overlap: int = 4) -> Layout:
    return Layout(plan(height, width, 16, overlap), geometry, channels=3, scale=2, costs=pixels)


GEOMETRIES = st.builds(Geometry, st.sampled_from([1, 2, 4]), st.integers(0, 3))
LAYOUTS = st.builds(layout, st.integers(1, 150), st.integers(1, 150), GEOMETRIES, st.integers(0, 8))


@given(LAYOUTS)
def test_stretches_hold_every_row_of_tiles_once_and_end_at_the_image(image: Layout) -> None:
    stretches = list(image.stretches())
    assert [row for each in stretches for row in range(each.first, each.last)] == list(range(len(image.tiling.tops)))
    assert (stretches[0].top, stretches[-1].finished) == (0, image.tiling.height)


@given(LAYOUTS, st.integers(0, 2**32 - 1))
def test_a_choice_costs_what_its_windows_cost(image: Layout, seed: int) -> None:
    choice = torch.randint(0, 2, (image.tiling.count,), generator=torch.Generator().manual_seed(seed))
    windows = [each for stretch in image.stretches() for each in image.windows(choice, stretch)]
    assert image.cost(choice) == sum(10**each.branch * each.height * each.width for each in windows)
    assert sum(each.tiles for each in windows) == image.tiling.count


def test_prices_are_relative_to_the_base_on_a_tile_and_count_what_windows_keep() -> None:
    image = layout(112, 112, Geometry(merge=2, halo=2))
    prices = image.prices((1.0, 1.0, 1.0, 1.0, 0.0))  # a pixel needs four pixels around it
    assert prices.columns == 9
    assert set(prices.costs) == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert prices.costs[2, 1] == pytest.approx([32 * 20 / 2560, 32 * 20 / 256])
    assert prices.gains == dict.fromkeys(prices.gains, 1.0)  # the halo and half of the overlap are four pixels
    assert image.prices((2.0,) * 5 + (0.0,)).gains[1, 1] < 1
