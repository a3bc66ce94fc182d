"""Claims about blocks of features: convolution of parts, channel attention."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lowvision import layers


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


def test_a_split_convolution_starts_with_the_variance_of_one_convolution() -> None:
    torch.manual_seed(0)
    features = torch.randn(4, 256, 8, 8)
    whole, split = nn.Conv2d(256, 64, 1, bias=False), layers.SplitConv([8] * 32, 64, bias=False)
    apart = split(features.split(8, dim=1)).var() / whole(features).var()
    split.share_variance()
    shared = split(features.split(8, dim=1)).var() / whole(features).var()
    assert apart > 5
    assert 0.5 < shared < 2


def test_a_residual_block_of_zero_weights_is_the_identity() -> None:
    block, features = layers.ResidualBlock(4), torch.randn(1, 4, 5, 6)
    assert not torch.equal(block(features), features)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
    assert torch.equal(block(features), features)


@pytest.mark.parametrize("layers_between", [0, 3])
def test_an_hourglass_shrinks_and_restores_the_channels(layers_between: int) -> None:
    network = layers.hourglass(3, 8, 2, layers_between)
    assert network(torch.rand(2, 3, 7, 9)).shape == (2, 8, 7, 9)
    widths = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert widths == [8, 2, *[2] * layers_between, 8]
