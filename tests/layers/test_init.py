"""Claims about initial weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

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


EDGES = {"x": ((1, 0, -1), (2, 0, -2), (1, 0, -1)), "laplace": ((0, 1, 0), (1, -4, 1), (0, 1, 0))}


class EdgeBranches(nn.Module, layers.Fusible):
    """An edge-oriented block: a 3x3 convolution, a 1x1 before a 3x3, and a scaled fixed edge kernel per 1x1."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        self.plain = nn.Conv2d(channels, out, 3, padding=1)
        self.widen = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.narrow = nn.Conv2d(2 * channels, out, 3, padding=1)
        self.before = nn.ModuleList(nn.Conv2d(channels, out, 1, bias=False) for _ in EDGES)
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(out, 1, 1)) for _ in EDGES)
        self.register_buffer("edges", torch.tensor(list(EDGES.values())).float())

    def forward(self, features: Tensor) -> Tensor:
        fused = self.fused()
        return functional.conv2d(features, fused.weight, fused.bias, padding=1)

    def fused(self) -> nn.Conv2d:
        convolution = nn.Conv2d(self.plain.in_channels, self.plain.out_channels, 3, padding=1)
        weight = self.plain.weight + torch.einsum("omhw,mc->ochw", self.narrow.weight, self.widen.weight[..., 0, 0])
        for before, scale, edge in zip(self.before, self.scales, self.get_buffer("edges"), strict=True):
            assert isinstance(before, nn.Conv2d)
            weight = weight + before.weight * (scale * edge)[:, None]
        convolution.weight.data.copy_(weight)
        assert convolution.bias is not None
        assert self.plain.bias is not None
        convolution.bias.data.copy_(self.plain.bias)
        return convolution


class Constant(nn.Conv2d, layers.Fusible):
    """A convolution that adds its input."""

    def fused(self) -> nn.Conv2d:
        convolution = nn.Conv2d(self.in_channels, self.out_channels, 3, padding=1)
        nn.init.dirac_(convolution.weight)
        convolution.weight.data += self.weight.data
        return convolution


class Pooled(nn.Module, layers.Fusible):
    """A block that fuses to no convolution."""

    def fused(self) -> nn.Module:
        return nn.AvgPool2d(3)


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_fusible_blocks_keep_the_variance_like_the_convolutions_that_they_fuse_to(slope: float) -> None:
    torch.manual_seed(0)
    blocks = [EdgeBranches(32, 32) for _ in range(8)]
    network = nn.Sequential(*(part for block in blocks for part in (block, nn.LeakyReLU(slope))))
    x = torch.randn(2, 32, 24, 24)
    layers.init_kaiming_(network, slope)
    assert network(x).square().mean() / x.square().mean() > 30
    for block in blocks:
        layers.init_fused_(block, slope=slope)
        kaiming = (2 / ((1 + slope**2) * 32 * 9)) ** 0.5
        assert block.fused().weight.std().item() == pytest.approx(kaiming, rel=2e-3)
    assert 0.1 < network(x)[..., 8:-8, 8:-8].square().mean() / x.square().mean() < 3


def test_a_sum_of_convolutions_is_scaled_to_any_standard_deviation() -> None:
    block = layers.ParallelConv(nn.Conv2d(8, 8, size, padding=size // 2) for size in (1, 3))
    layers.init_fused_(block, std=0.5)
    fused = block.fused()
    assert fused.weight.std().item() == pytest.approx(0.5, rel=2e-3)
    assert fused.bias is not None
    assert not fused.bias.any()


def test_a_fusible_last_layer_is_near_zero() -> None:
    last = EdgeBranches(8, 3)
    layers.init_near_zero_(last)
    assert last.fused().weight.std().item() == pytest.approx(1e-3, rel=2e-3)
    assert all(parameter.abs().max() > 0 for name, parameter in last.named_parameters() if "bias" not in name)


def test_scaling_a_block_draws_no_random_numbers_and_leaves_the_meta_device_alone() -> None:
    block = EdgeBranches(8, 8)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    layers.init_fused_(block)
    assert torch.equal(torch.rand(1), expected)
    with torch.device("meta"):
        layers.init_fused_(EdgeBranches(8, 8))


def test_a_block_that_cannot_be_scaled_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Constant: the standard deviation of its fused weight stays at .*constant"):
        layers.init_near_zero_(Constant(4, 4, 3))
    zero = layers.ParallelConv([nn.Conv2d(4, 4, 3, padding=1)])
    with torch.no_grad():
        zero.parts()[0].weight.zero_()
    with pytest.raises(ValueError, match="stays at 0 instead of"):
        layers.init_fused_(zero)
    with pytest.raises(ValueError, match="Pooled: `fused` returns a AvgPool2d, not a convolution"):
        layers.init_fused_(Pooled())
