"""Claims about the building blocks of networks: initial weights, mean colour, upsampling."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from lowvision import layers, upsample


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


@pytest.mark.parametrize("colours", [1, 3])
def test_the_mean_colour_is_subtracted_and_added_again(colours: int) -> None:
    mean = layers.MeanShift(colours)
    image = torch.rand(1, colours, 4, 4)
    torch.testing.assert_close(mean.add(mean.sub(image)), image)
    assert mean.sub(image).mean() < image.mean()
    assert not mean.state_dict()  # a constant is not stored


def test_upsampling_steps_multiply_to_every_scale() -> None:
    assert all(math.prod(steps) == scale for scale, steps in layers.STEPS.items())


def test_a_skip_adds_the_interpolated_input() -> None:
    lq, image = torch.rand(1, 3, 5, 6), torch.rand(1, 3, 10, 12)
    assert layers.add_skip(image, lq, 2, "none") is image
    torch.testing.assert_close(layers.add_skip(image, lq, 2, "bicubic"), image + upsample(lq, 2, "bicubic"))


@pytest.mark.parametrize("scale", layers.STEPS)
def test_shuffling_enlarges_features_by_the_scale(scale: int) -> None:
    assert layers.upsampler(4, scale)(torch.rand(1, 4, 5, 6)).shape == (1, 4, 5 * scale, 6 * scale)


def test_joined_convolution_equals_convolution_of_the_concatenation() -> None:
    joined = layers.SplitConv([2, 3], 4, kernel=3)
    whole = nn.Conv2d(5, 4, 3, padding=1)
    with torch.no_grad():
        whole.weight.copy_(torch.cat([part.weight for part in joined.convolutions()], dim=1))
        whole.bias.copy_(joined.convolutions()[0].bias)  # type: ignore[union-attr, arg-type]  # both have one
    parts = torch.rand(1, 2, 6, 7), torch.rand(1, 3, 6, 7)
    torch.testing.assert_close(joined(parts), whole(torch.cat(parts, dim=1)))


def test_channel_attention_weighs_channels_by_their_means_alone() -> None:
    torch.manual_seed(0)
    attention, features = layers.ChannelAttention(32).double(), torch.rand(2, 32, 5, 6, dtype=torch.float64)
    weights = attention(features) / features
    torch.testing.assert_close(weights, weights[..., :1, :1].expand_as(weights))  # one a channel
    moved = features.flip(2, 3)
    torch.testing.assert_close(attention(moved), attention(features).flip(2, 3))


@pytest.mark.parametrize(("side", "half"), [(1, 1), (4, 2), (5, 3)])
def test_halving_averages_pairs_and_keeps_the_last_line_of_an_odd_size(side: int, half: int) -> None:
    features = torch.arange(float(side)).expand(1, 1, side, side)
    expected = [min(2 * k + 0.5, side - 1.0) for k in range(half)]
    torch.testing.assert_close(layers.halved(features), torch.tensor(expected).expand(1, 1, half, half))
