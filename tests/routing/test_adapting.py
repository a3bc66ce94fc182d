"""An adaptive network restores images of any size, and its cost is returned."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lowvision import Adaptive, multiply_adds, upsample
from lowvision.routing import networks
from lowvision.routing.adapting import adapt
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine
from lowvision.routing.regions import Geometry

TILE = 8
ALONE = Geometry()


class Reluctant(nn.Module, Adaptive):
    """Restores tiles brighter than its threshold, and interpolates the others."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
        self.threshold = -1.0

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        bright = tiles.mean(dim=(1, 2, 3)) > self.threshold
        restored = upsample(tiles, 2, "nearest")
        if bright.any():
            restored[bright] = self.network(tiles[bright])
        return restored, bright.long() * multiply_adds(self.network, (1, *tiles.shape[1:]))

    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        self.threshold = lq.mean(dim=(1, 2, 3)).quantile(1 - share).item()


class EvenSidesOnly(Reluctant):
    """An adaptive network for even sides only."""

    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        assert not any(side % 2 for side in tiles.shape[2:])
        return super().adapt(tiles)


def engine_of(network: nn.Module, geometry: Geometry = ALONE) -> Engine:
    return Engine(networks.of(RoutedContainer(nn.Identity(), [network])), 2, TILE, 2, geometry)


@settings(deadline=None, max_examples=20)
@given(height=st.integers(1, 30), width=st.integers(1, 30))
def test_an_image_without_budget_equals_its_tiles_in_result_and_cost(height, width):
    network, image = Reluctant().eval(), torch.rand(3, height, width)
    engine = engine_of(network)
    expected = engine.restore(image, 0)
    restored, spent = adapt(network, engine, image)
    torch.testing.assert_close(restored, expected.image)
    assert spent == expected.cost


def test_tile_sizes_are_multiples_that_the_network_accepts():
    network = EvenSidesOnly().eval()
    restored, _ = adapt(network, engine_of(network, Geometry(merge=2, multiple_of=2)), torch.rand(3, 5, 21))
    assert restored.shape == (3, 10, 42)


def test_skipped_computation_is_not_counted_in_the_cost():
    network = Reluctant().eval()
    image = torch.cat([torch.zeros(3, TILE, 3 * TILE), torch.ones(3, TILE, 3 * TILE)], dim=1)
    engine = Engine(engine_of(network).networks, 2, TILE, 0)
    tiles = torch.stack([torch.zeros(3, TILE, TILE), torch.ones(3, TILE, TILE)])
    network.set_budget(0.5, tiles, upsample(tiles, 2, "nearest"))
    restored, spent = adapt(network, engine, image)
    assert spent == 3 * multiply_adds(network, (1, 3, TILE, TILE))
    torch.testing.assert_close(restored[:, : 2 * TILE], torch.zeros(3, 2 * TILE, 6 * TILE))
