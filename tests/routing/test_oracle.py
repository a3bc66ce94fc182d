"""No classifier can choose better than the oracle at the same cost."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from lowvision.routing import networks, oracle
from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine


def branch(width: int) -> nn.Module:
    torch.manual_seed(width)
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 1), nn.Upsample(scale_factor=2)).eval()


@pytest.fixture
def engine() -> Engine:
    container = RoutedContainer(nn.Identity(), [branch(2), branch(8)])
    return Engine(networks.of(container), 2, size=16, overlap=0)


def error(restored: torch.Tensor, gt: torch.Tensor) -> float:
    return (restored.clamp(0, 1) - gt).double().square().sum().item()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 1.0])
def test_no_choice_within_the_budget_has_a_smaller_error(engine, share):
    torch.manual_seed(1)
    lq, gt = torch.rand(3, 32, 48), torch.rand(3, 64, 96)
    everywhere = [engine.restore(lq, k).image for k in range(2)]
    budget = int(share * engine.given(lq, 1).cost)
    chosen = engine.restore(lq, oracle.choice(engine, lq, everywhere, gt, budget))
    others = [torch.tensor(choices) for choices in product(range(2), repeat=6)]
    allowed = [engine.restore(lq, choices) for choices in others if engine.given(lq, choices).cost <= budget]
    assert chosen.cost <= max(budget, engine.given(lq, 0).cost)
    if allowed:
        assert error(chosen.image, gt) <= min(error(choices.image, gt) for choices in allowed) + 1e-9


def test_the_oracle_selects_the_cheap_branch_if_it_is_better(engine):
    lq = torch.rand(3, 32, 48)
    everywhere = [engine.restore(lq, k).image for k in range(2)]
    gt = everywhere[0].clamp(0, 1)
    assert oracle.choice(engine, lq, everywhere, gt, engine.given(lq, 1).cost).eq(0).all()


@pytest.mark.parametrize("size", [(7, 9), (33, 17), (40, 61)], ids=str)
def test_images_of_any_size_have_one_error_per_tile(size):
    engine = Engine(networks.of(RoutedContainer(nn.Identity(), [branch(2), branch(8)])), 2, size=16, overlap=4)
    lq = torch.rand(3, *size)
    everywhere = [engine.restore(lq, k).image for k in range(2)]
    chosen = oracle.choice(engine, lq, everywhere, everywhere[1].clamp(0, 1), engine.given(lq, 1).cost)
    assert chosen.eq(1).all()
    assert len(chosen) == engine.given(lq, 0).tiling.count
