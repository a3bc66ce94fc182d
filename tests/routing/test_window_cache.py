"""Claims about keeping the restored windows of an image."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lowvision.routing.engine import Engine
from lowvision.routing.networks import Networks
from lowvision.routing.regions import Geometry
from lowvision.routing.window_cache import WindowCache, cached

COSTS = (1, 3)


class Doubling:
    """A branch that counts its pixels."""

    def __init__(self) -> None:
        self.pixels = 0

    def __call__(self, windows: Tensor) -> Tensor:
        self.pixels += windows.shape[0] * windows.shape[2] * windows.shape[3]
        return 2 * windows


def engine(*branches: Doubling, merge: int = 1) -> Engine:
    def costs(shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(cost * shape[1] * shape[2] for cost in COSTS)

    networks = Networks(lambda tiles: tiles.mean((1, 2, 3))[:, None].expand(-1, 2), branches, costs, lambda shape: 1)
    return Engine(networks, scale=1, size=8, overlap=2, geometry=Geometry(merge=merge, halo=merge - 1))


def test_a_branch_runs_once_on_equal_windows_and_keeps_their_order() -> None:
    branch = Doubling()
    kept = WindowCache(branch)
    a, b, c = torch.rand(3, 1, 2, 3)
    assert torch.equal(kept(torch.stack([a, b, a])), 2 * torch.stack([a, b, a]))
    assert branch.pixels == 2 * 6
    assert torch.equal(kept(torch.stack([c, b])), 2 * torch.stack([c, b]))
    assert branch.pixels == 3 * 6


def test_windows_of_equal_bytes_but_other_shapes_are_different() -> None:
    branch = Doubling()
    kept = WindowCache(branch)
    assert kept(torch.zeros(1, 1, 2, 3)).shape == (1, 1, 2, 3)
    assert kept(torch.zeros(1, 1, 3, 2)).shape == (1, 1, 3, 2)
    assert branch.pixels == 12


@given(st.lists(st.lists(st.integers(0, 1), min_size=9, max_size=9), min_size=1, max_size=4), st.sampled_from([1, 2]))
def test_an_engine_that_keeps_windows_restores_every_route_alike(choices: list[list[int]], merge: int) -> None:
    plain = engine(Doubling(), Doubling(), merge=merge)
    keeping = replace(plain, networks=cached(plain.networks))
    image = torch.rand(1, 20, 20, generator=torch.Generator().manual_seed(0))
    for choice in map(torch.tensor, choices):
        expected, kept = plain.restore(image, choice), keeping.restore(image, choice)
        assert torch.equal(kept.image, expected.image)
        assert kept.cost == expected.cost


def test_tiles_that_are_not_merged_cost_each_branch_one_pass_however_many_routes() -> None:
    branches = Doubling(), Doubling()
    plain = engine(*branches)
    keeping = replace(plain, networks=cached(plain.networks))
    image = torch.rand(1, 20, 20)
    for count in range(10):
        keeping.restore(image, (torch.arange(9) < count).long())
    assert [branch.pixels for branch in branches] == [9 * 64, 9 * 64]
