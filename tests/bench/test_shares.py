"""Claims about shares that are forced on the branches."""

from __future__ import annotations

import pytest
import torch

from lowvision.bench import shares
from lowvision.errors import UsageError
from lowvision.routing.tiling import plan


def test_shares_are_normalised_to_a_sum_of_1() -> None:
    assert shares.read("61,23,16", 3) == pytest.approx((0.61, 0.23, 0.16))
    assert shares.read("1,1", 2) == (0.5, 0.5)


@pytest.mark.parametrize("text", ["61,39", "a,b,c", "1,2,", "0,0,0", "1,-1,1", "nan,1,1", "inf,1,1"])
def test_invalid_shares_are_reported(text: str) -> None:
    with pytest.raises(UsageError, match="--shares"):
        shares.read(text, 3)


def test_every_tile_gets_a_branch_in_the_given_shares() -> None:
    where = plan(100, 140, 16, 4)
    choice = shares.forced(torch.rand(3, 100, 140), where, (0.61, 0.23, 0.16))
    assert choice.shape == (where.count,)
    assert shares.of(choice, 3) == pytest.approx((0.61, 0.23, 0.16), abs=1 / where.count)


def test_the_hardest_tiles_are_sent_to_the_last_branch() -> None:
    image = torch.zeros(3, 16, 48)
    image[:, :, 16:32] = torch.linspace(0, 1, 16)  # a slope
    image[:, :, 32:] = torch.rand(3, 16, 16)
    assert shares.forced(image, plan(16, 48, 16, 0), (1 / 3, 1 / 3, 1 / 3)).tolist() == [0, 1, 2]


def test_a_branch_may_get_no_tiles() -> None:
    choice = shares.forced(torch.rand(3, 40, 40), plan(40, 40, 16, 4), (0.0, 1.0, 0.0))
    assert set(choice.tolist()) == {1}
