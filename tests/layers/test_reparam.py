"""Claims about layers that are trained in one form and used in another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lowvision.layers import Fusible, ParallelConv, fuse


def convolution(kernel: Any, padding: Any, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(4, 6, kernel, padding=padding, **options)


class Normalised(nn.Module, Fusible):
    """A RepVGG block: a 3x3 and a 1x1 convolution with batch normalisation each, and the identity with one."""

    def __init__(self, channels: int):
        super().__init__()
        self.wide, self.point = (nn.Conv2d(channels, channels, k, padding=k // 2, bias=False) for k in (3, 1))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(3))

    def forward(self, features: Tensor) -> Tensor:
        return self.norms[0](self.wide(features)) + self.norms[1](self.point(features)) + self.norms[2](features)

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        channels = len(self.wide.weight)
        fused_convolution = nn.Conv2d(channels, channels, 3, padding=1).to(self.wide.weight)
        fused_convolution.weight.zero_()
        fused_convolution.bias.zero_()
        identity = torch.eye(channels)[:, :, None, None]
        for kernel, norm in zip((self.wide.weight, self.point.weight, identity), self.norms, strict=True):
            gain = norm.weight / (norm.running_var + norm.eps).sqrt()
            margin = 1 - kernel.shape[-1] // 2
            fused_convolution.weight += nn.functional.pad(kernel * gain[:, None, None, None], [margin] * 4)
            fused_convolution.bias += norm.bias - norm.running_mean * gain
        return fused_convolution


class Net(nn.Module):
    """A fusable layer between two ordinary ones."""

    def __init__(self, layer: nn.Module, channels: int = 4, after: int | None = None):
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.layers = nn.ModuleList([layer])
        self.last = nn.Conv2d(after or channels, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(self.layers[0](self.first(image)))


@pytest.mark.parametrize(
    "parts",
    [
        [convolution((1, 3), (0, 1)), convolution((3, 1), (1, 0)), convolution(3, 1)],
        [convolution((1, 3), (0, 1)), convolution((3, 1), (1, 0))],
        [convolution(1, 0), convolution(5, 2, bias=False)],
        [convolution(3, 0, bias=False), convolution(3, 0, bias=False)],
        [convolution(1, 0, stride=2), convolution(3, 1, stride=2)],
        [convolution(1, 0, groups=2), convolution(3, 1, groups=2)],
        [convolution(3, 2, dilation=2), convolution(1, 0, dilation=2)],
    ],
    ids=["asymmetric", "a cross", "biases", "unpadded", "strided", "grouped", "dilated"],
)
def test_parallel_convolutions_fuse_into_one_that_computes_the_same(parts: list[nn.Conv2d]) -> None:
    layer = ParallelConv(parts).double()
    image = torch.rand(2, 4, 9, 8, dtype=torch.float64)
    fused_layer = layer.fused()
    assert isinstance(fused_layer, nn.Conv2d)
    assert (fused_layer.bias is None) == all(part.bias is None for part in parts)
    torch.testing.assert_close(fused_layer(image), layer(image))


@pytest.mark.parametrize(
    "parts",
    [
        [convolution(3, 1), convolution(1, 0, stride=2)],
        [convolution(3, 1), nn.Identity()],
        [convolution(3, 1, padding_mode="reflect")],
        [convolution(3, 1), convolution(2, 1)],
        [convolution(3, "same")],
        [convolution(3, 1), convolution(3, 0)],
        [],
    ],
    ids=["stride", "no convolution", "reflection", "even", "a string", "size of the output", "none"],
)
def test_convolutions_that_cannot_be_fused_are_rejected(parts: list[nn.Module]) -> None:
    with pytest.raises(ValueError, match="cannot be added"):
        ParallelConv(parts)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**31))
def test_a_plugin_layer_with_a_fused_method_is_fused(channels: int, seed: int) -> None:
    torch.manual_seed(seed)
    larger = Net(Normalised(channels), channels)
    with torch.no_grad():
        for norm in larger.layers[0].norms:
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_(0.5, 2)
            norm.bias.uniform_(-1, 1)
    larger.eval()
    smaller = Net(nn.Conv2d(channels, channels, 3, padding=1), channels).eval()
    before = {name: tensor.clone() for name, tensor in larger.state_dict().items()}
    image = torch.rand(2, 3, 6, 7)
    assert fuse(larger, smaller)
    with torch.no_grad():
        torch.testing.assert_close(smaller(image), larger(image), atol=1e-5, rtol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in larger.state_dict().items())


def test_a_layer_with_the_same_form_in_both_networks_is_copied() -> None:
    larger, smaller = (Net(ParallelConv([nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)])) for _ in range(2))
    image = torch.rand(1, 3, 5, 5)
    assert fuse(larger, smaller)
    assert torch.equal(smaller(image), larger(image))


@pytest.mark.parametrize("difference", ["a layer more", "another width", "another kernel"])
def test_networks_that_differ_otherwise_are_not_changed(difference: str) -> None:
    larger = Net(ParallelConv([nn.Conv2d(4, 4, 3, padding=1)]))
    smaller = Net(nn.Conv2d(4, 4, 3, padding=1))
    if difference == "a layer more":
        larger.extra = nn.Linear(2, 2)
    else:
        smaller = (
            Net(nn.Conv2d(4, 5, 3, padding=1), after=5) if difference == "another width" else Net(nn.Conv2d(4, 4, 1))
        )
    before = {name: tensor.clone() for name, tensor in smaller.state_dict().items()}
    assert not fuse(larger, smaller)
    assert all(torch.equal(tensor, before[name]) for name, tensor in smaller.state_dict().items())
