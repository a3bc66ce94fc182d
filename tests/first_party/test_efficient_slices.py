"""Claims about smaller networks of lowvision-efficient that inherit slices of larger ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lowvision import Backbone
from lowvision_efficient import BSRN, DISP, RLFN, SPAN, PlainUSR
from lowvision_reducers import Channels, Layers
from lowvision_sr import SuperResolution

LARGER: tuple[Backbone, ...] = (
    DISP(channels=8, layers=2),
    SPAN(channels=8, layers=2),
    RLFN(channels=8, layers=2, hidden=3),
    BSRN(channels=32, layers=2),
    PlainUSR(size="U", channels=16),
    PlainUSR(size="M", channels=24, hidden=5),
)


def name(backbone: Any) -> str:
    return f"{type(backbone).__name__}-{backbone.channels}"


def randomised(backbone: Backbone, seed: int) -> nn.Module:
    """Build a network with random weights in every layer, so that its output depends on all of them."""
    torch.manual_seed(seed)
    network = backbone.build(SuperResolution(scale=4)).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.double()


def zero_dropped_weights(network: nn.Module, smaller: nn.Module, kept: list[int], count: int) -> None:
    """Set the weights that `smaller` lacks to zero: channels not in `kept`, or the last ones."""
    nested = {module.width for module in network.modules() if hasattr(module, "width")} - {1}

    def dropped(old: int, new: int) -> list[int]:
        if old == new:
            return []
        if old in nested:
            return [c for c in range(old) if c not in kept]
        if old % count:
            return list(range(new, old))
        return [c for c in range(old) if c % count not in kept]

    convolutions = dict(smaller.named_modules())
    with torch.no_grad():
        for key, large in network.named_modules():
            if isinstance(large, nn.Conv2d):
                small = convolutions[key]
                assert isinstance(small, nn.Conv2d)
                rows = dropped(large.out_channels, small.out_channels)
                large.weight[rows] = 0
                if large.bias is not None:
                    large.bias[rows] = 0
                if large.groups == 1:
                    large.weight[:, dropped(large.in_channels, small.in_channels)] = 0


@pytest.mark.parametrize("backbone", LARGER, ids=name)
def test_fewer_channels_compute_the_same_if_the_removed_ones_were_zero(backbone: Any) -> None:
    kept = [c for c in range(backbone.channels) if c % 2 == 0]
    larger, smaller = randomised(backbone, 0), randomised(Channels().reduce(backbone, len(kept)), 1)
    zero_dropped_weights(larger, smaller, kept, backbone.channels)
    image = torch.rand(1, 3, 20, 18, dtype=torch.float64)
    assert Channels().inherit(larger, smaller)
    torch.testing.assert_close(smaller(image), larger(image))


@pytest.mark.parametrize("backbone", LARGER, ids=name)
def test_fewer_layers_inherit_the_first_layers_head_and_tail(backbone: Any) -> None:
    layers = backbone.layers - (2 if isinstance(backbone, PlainUSR) else 1)
    larger, smaller = randomised(backbone, 0), randomised(Layers().reduce(backbone, layers), 1)
    assert Layers().inherit(larger, smaller)
    assert torch.equal(
        smaller.head.weight if hasattr(smaller.head, "weight") else smaller.head.pointwise.weight, ends(larger)
    )


def ends(network: nn.Module) -> torch.Tensor:
    """Return the first weight of a network."""
    return next(parameter for parameter in network.parameters() if parameter.dim() == 4)


def test_plainusr_with_fewer_layers_inherits_blocks_of_its_widths() -> None:
    larger, smaller = randomised(PlainUSR(size="M"), 0), randomised(PlainUSR(size="M", layers=3), 1)
    assert Layers().inherit(larger, smaller)
    for smaller_block, larger_block in zip((0, 1, 2), (0, 1, 4), strict=True):
        inherited = smaller.blocks[smaller_block].state_dict()  # type: ignore[index,union-attr]  # an nn.Sequential
        source_state = larger.blocks[larger_block].state_dict()  # type: ignore[index,union-attr]  # as above
        assert all(torch.equal(inherited[key], source_state[key]) for key in source_state)


def test_the_gate_channel_of_plainusr_is_kept() -> None:
    backbone = PlainUSR(size="U", channels=16)
    larger, smaller = randomised(backbone, 0), randomised(Channels().reduce(backbone, 8), 1)
    with torch.no_grad():
        for module in larger.modules():
            if isinstance(module, nn.Conv2d) and module.in_channels > 3:
                module.weight[:, 0] = 0  # no convolution reads it
    assert Channels().inherit(larger, smaller)
    assert torch.equal(smaller.head.bias[0], larger.head.bias[0])


def test_plainusr_with_ranges_outside_the_larger_ones_inherits_nothing() -> None:
    larger, smaller = (
        randomised(PlainUSR(size="M", narrower=(32, 4)), 0),
        randomised(PlainUSR(size="M", channels=40), 1),
    )
    before = {key: tensor.clone() for key, tensor in smaller.state_dict().items()}
    assert not Channels().inherit(larger, smaller)
    assert all(torch.equal(before[key], tensor) for key, tensor in smaller.state_dict().items())
