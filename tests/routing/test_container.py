"""The container blends all branches in training and runs one branch per tile in inference, and both agree."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lowvision.routing import cost
from lowvision.routing.container import RoutedContainer


class Bright(nn.Module):
    """A certain classifier that decides by brightness."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def forward(self, tiles):
        k = (tiles.mean(dim=(1, 2, 3)) * self.classes).long().clamp(0, self.classes - 1)
        return nn.functional.one_hot(k, self.classes).float() * 1e4


def container(branches: int) -> RoutedContainer:
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Conv2d(3, 4 + k, 3, padding=1), nn.Conv2d(4 + k, 3, 1)) for k in range(branches)]
    return RoutedContainer(Bright(branches), networks).eval()


def tiles(count: int) -> torch.Tensor:
    torch.manual_seed(1)
    return (torch.rand(count, 3, 8, 8) * 0.2 + torch.linspace(0, 0.8, count)[:, None, None, None]).float()


@pytest.mark.parametrize("branches", [1, 2, 3, 5])
def test_with_a_certain_classifier_the_soft_forward_equals_the_route(branches):
    routing = container(branches)
    soft, p = routing(tiles(11))
    routed = routing.route(tiles(11))
    assert torch.equal(p.argmax(dim=1), routed.choice)
    assert len(routed.choice.unique()) == branches
    torch.testing.assert_close(soft, routed.image)


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_a_tile_result_does_not_depend_on_the_other_tiles(batch):
    routing, all_tiles = container(3), tiles(10)
    together = routing.route(all_tiles, batch)
    alone = [routing.route(tile[None]) for tile in all_tiles]
    torch.testing.assert_close(together.image, torch.cat([r.image for r in alone]))
    assert torch.equal(together.choice, torch.cat([r.choice for r in alone]))
    assert torch.equal(together.cost, torch.cat([r.cost for r in alone]))


def test_the_last_branch_equals_the_backbone():
    routing, all_tiles = container(3), tiles(5)
    hardest = routing.restore(all_tiles, torch.full((5,), 2))
    torch.testing.assert_close(hardest, routing.branches.networks[2](all_tiles))


def test_a_tile_costs_the_sum_of_its_branch_and_the_classifier():
    routing = container(2)
    routed = routing.route(tiles(6))
    costs = [cost.multiply_adds(network, (1, 3, 8, 8)) for network in routing.branches.networks]
    assert routed.cost.tolist() == [costs[k] for k in routed.choice.tolist()]
    routing.classifier = nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten())
    routing._classifier_costs.clear()
    assert routing.classifier_cost((3, 8, 8)) == 3 * 2 * 64
    assert (routing.route(tiles(6)).cost >= 3 * 2 * 64).all()


def test_gradients_reach_classifier_and_every_branch():
    routing = RoutedContainer(
        nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten()), [nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1)]
    )
    image, _ = routing(tiles(4))
    image.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in routing.parameters())


def test_an_empty_batch_is_an_error():
    with pytest.raises(ValueError, match="no tiles"):
        container(2).restore(torch.empty(0, 3, 8, 8), torch.empty(0, dtype=torch.long))


def test_blending_under_autocast_keeps_float32_branch_outputs():
    class Exact(nn.Module):
        """A branch with a skip: its output is float32 under autocast."""

        def forward(self, tiles):
            return tiles

    routing = RoutedContainer(Bright(2), [Exact(), Exact()]).eval()
    with torch.autocast("cpu", torch.bfloat16):
        image, _ = routing(tiles(4))
    assert image.dtype == torch.float32
    torch.testing.assert_close(image, tiles(4), rtol=0, atol=1e-6)
