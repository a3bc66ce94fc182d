"""Claims about the visibility of borders between tiles of different branches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.evaluation import seams
from lowvision.routing.tiling import Tiling, plan


def mask(where: Tiling, choice: list[int], scale: int = 1) -> torch.Tensor:
    return seams.between_branches(where, torch.tensor(choice), scale)


def test_only_borders_between_two_branches_are_crossed_in_the_middle_of_their_seam() -> None:
    where = plan(32, 60, 32, 4)  # two tiles that overlap by 4 pixels, from column 28 on
    assert not mask(where, [1, 1]).any()
    crossing = mask(where, [0, 1])
    assert crossing.shape == (32, 59)
    assert crossing.nonzero()[:, 1].unique().tolist() == [29]  # from column 29 to 30
    assert crossing[:, 29].all()


def test_rows_belong_to_the_tile_whose_part_of_the_seam_they_are() -> None:
    where = plan(60, 60, 32, 4)
    crossing = mask(where, [0, 1, 0, 0])
    assert crossing[:30, 29].all()
    assert not crossing[30:].any()


@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), scale=st.integers(1, 4), data=st.data())
def test_a_border_at_any_scale_is_the_enlarged_one(height: int, width: int, scale: int, data: st.DataObject) -> None:
    where = plan(height, width, 32, 4)
    choice = data.draw(st.lists(st.integers(0, 1), min_size=where.count, max_size=where.count))
    once, enlarged = mask(where, choice), mask(where, choice, scale)
    assert enlarged.shape == (scale * height, scale * width - 1)
    assert int(enlarged.sum()) == scale * int(once.sum())
    rows, columns = once.nonzero().unbind(1)
    assert enlarged[scale * rows, scale * (columns + 1) - 1].all()


def test_the_excess_is_the_ratio_of_steps_at_and_beside_a_border() -> None:
    borders = torch.zeros(8, 119, dtype=torch.bool)
    borders[:, 59] = True
    steps = torch.full((120,), 0.001)
    steps[60] = 0.003  # into the first pixel behind the border
    image = steps.cumsum(0).expand(3, 8, -1)
    assert seams.excess(image, borders) == pytest.approx(3, rel=1e-3)
    assert seams.excess(torch.full((120,), 0.001).cumsum(0).expand(3, 8, -1), borders) == pytest.approx(1, rel=1e-3)
