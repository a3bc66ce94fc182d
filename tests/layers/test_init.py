"""Claims about initial weights."""

from __future__ import annotations

import torch
from torch import nn

from lowvision import layers


def test_kaiming_keeps_the_variance_across_a_rectifier() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*(part for _ in range(6) for part in (nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())))
    layers.init_kaiming_(network)
    x = torch.randn(2, 64, 24, 24)
    assert 0.3 < network(x)[..., 8:-8, 8:-8].square().mean() / x.square().mean() < 3
    assert not any(module.bias.any() for module in network if isinstance(module, nn.Conv2d))


def test_a_zero_mean_layer_does_not_respond_to_flat_areas() -> None:
    first = nn.Conv2d(3, 8, 5, bias=False)
    layers.init_zero_mean_(first)
    assert first(torch.full((1, 3, 9, 9), 0.7)).abs().max() < 1e-6
    assert first(torch.rand(1, 3, 9, 9)).abs().max() > 1e-3


def test_the_last_layer_is_scaled_to_a_tenth_or_to_near_zero() -> None:
    last = nn.Conv2d(8, 3, 3)
    before = last.weight.clone()
    layers.scale_residual_(last)
    torch.testing.assert_close(last.weight, before / 10)
    layers.init_near_zero_(last)
    assert 0 < last.weight.std() < 2e-3
    assert last.bias is not None
    assert not last.bias.any()
    layers.init_near_zero_(nn.Conv2d(8, 3, 3, bias=False))
