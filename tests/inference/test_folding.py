"""A network with rearranged last layers computes the same for every input; other networks stay unchanged."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from lowvision.inference import folding

CLOSE = 1e-5
"""Tolerance for the sums of a convolution in another order."""
SIDES = st.integers(1, 12)


class Shuffling(nn.Module):
    """A pixel shuffle followed by a convolution."""

    def __init__(self, factor: int, side: int = 3, bias: bool = True, outputs: int = 3):
        super().__init__()
        self.wide = nn.Conv2d(3, 5 * factor**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(factor)
        self.last = nn.Conv2d(5, outputs, side, padding=side // 2, bias=bias)

    def forward(self, lq: Tensor) -> Tensor:
        return self.last(self.shuffle(torch.relu(self.wide(lq))))


class Branching(Shuffling):
    """A network that uses its shuffled features twice, so that they cannot be folded."""

    def forward(self, lq: Tensor) -> Tensor:
        features = self.shuffle(self.wide(lq))
        return self.last(features) + features[:, :3]


class Sized(nn.Module):
    """A network that reads the size of its enlarged features, which folding would change."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 3, 4, 2, 1)

    def forward(self, lq: Tensor) -> Tensor:
        return self.up(lq, output_size=[2 * lq.shape[2], 2 * lq.shape[3]])


class Named(Shuffling):
    """A network that calls its shuffle with a keyword argument."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.last(self.shuffle(input=self.wide(lq)))


class Deciding(Shuffling):
    """A network whose path depends on its input, so that it cannot be traced."""

    def forward(self, lq: Tensor) -> Tensor:
        return super().forward(lq if lq.mean() > 0 else -lq)


class Skipping(nn.Module):
    """A network that adds its interpolated input to a pixel shuffle."""

    def __init__(self, factor: int, mode: str, first: bool = False, **interpolation: object):
        super().__init__()
        self.last = nn.Conv2d(3, 3 * factor**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(factor)
        self.interpolation = {"scale_factor": factor, "mode": mode} | interpolation
        self.first = first

    def forward(self, lq: Tensor) -> Tensor:
        skip, image = functional.interpolate(lq, **self.interpolation), self.shuffle(self.last(lq))
        return skip + image if self.first else torch.add(image, skip)


class ShufflingAndSkipping(Shuffling):
    """A network with a convolution between its pixel shuffle and the addition of its input."""

    def forward(self, lq: Tensor) -> Tensor:
        return super().forward(lq) + functional.interpolate(lq, scale_factor=2, mode="bilinear")


class SkippingInPlace(Skipping):
    """A network that adds its input in place, interpolated by arguments without names."""

    def forward(self, lq: Tensor) -> Tensor:
        image = self.shuffle(self.last(lq))
        image += functional.interpolate(lq, None, self.interpolation["scale_factor"], self.interpolation["mode"])
        return image


class SkippingTwice(Skipping):
    """A network that uses its interpolated input twice."""

    def forward(self, lq: Tensor) -> Tensor:
        skip = functional.interpolate(lq, **self.interpolation)
        return (self.shuffle(self.last(lq)) + skip).maximum(skip)


class SkippingFeatures(Skipping):
    """A network that interpolates features, whose number is not that of the input's channels."""

    def forward(self, lq: Tensor) -> Tensor:
        return self.shuffle(self.last(lq)) + functional.interpolate(lq[:, :1], **self.interpolation)


def off(network: nn.Module, folded: nn.Module, height: int, width: int) -> float:
    x = torch.rand(2, 3, height, width)
    with torch.inference_mode():
        return (network(x) - folded(x)).abs().max().item()


def shuffles(network: nn.Module) -> list[type[nn.Module]]:
    """Return all modules that are not containers, in order."""
    return [
        type(part) for part in network.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.PixelShuffle)
    ]


@settings(max_examples=30, deadline=None)
@given(
    factor=st.sampled_from([2, 3, 4]), side=st.sampled_from([1, 3, 5]), bias=st.booleans(), height=SIDES, width=SIDES
)
def test_folding_moves_the_pixel_shuffle_behind_the_last_convolution(
    factor: int, side: int, bias: bool, height: int, width: int
) -> None:
    network = Shuffling(factor, side, bias).eval()
    folded = folding.folded(network, 3, 8)
    assert folded is not network
    assert off(network, folded, height, width) < CLOSE


@settings(max_examples=30, deadline=None)
@given(
    shape=st.sampled_from(
        [(9, 4, 4, 3), (9, 3, 3, 0), (9, 2, 4, 1), (4, 2, 1, 0), (2, 2, 0, 0), (3, 3, 0, 0), (6, 4, 1, 0)]
    ),
    bias=st.booleans(),
    height=SIDES,
    width=SIDES,
)
def test_a_transposed_convolution_is_folded_to_a_convolution_and_a_shuffle(
    shape: tuple[int, int, int, int], bias: bool, height: int, width: int
) -> None:
    side, stride, padding, more = shape
    network = nn.Sequential(nn.ConvTranspose2d(3, 4, side, stride, padding, more, bias=bias)).eval()
    folded = folding.folded(network, 3, 8)
    assert shuffles(folded)[-2:] == [nn.Conv2d, nn.PixelShuffle]
    assert off(network, folded, height, width) < CLOSE


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from([Skipping, SkippingInPlace]),
    factor=st.integers(2, 5),
    mode=st.sampled_from(["nearest", "bilinear"]),
    first=st.booleans(),
    height=SIDES,
    width=SIDES,
)
def test_an_interpolated_skip_is_added_before_the_pixel_shuffle(
    kind: type[Skipping], factor: int, mode: str, first: bool, height: int, width: int
) -> None:
    network = kind(factor, mode, first).eval()
    folded = folding.folded(network, 3, 8)
    assert folded is not network
    assert off(network, folded, height, width) < CLOSE


def test_a_skip_is_added_before_a_pixel_shuffle_that_moved() -> None:
    network = ShufflingAndSkipping(2).eval()
    folded = folding.folded(network, 3, 8)
    assert shuffles(folded) == [nn.Conv2d, nn.Conv2d, nn.PixelShuffle, nn.Conv2d]
    assert list(folded.graph.nodes)[-2].target.endswith("folded_1")  # the pixel shuffle is the last layer
    assert off(network, folded, 9, 7) < CLOSE


@pytest.mark.parametrize(
    "network",
    [
        Skipping(2, "bicubic"),
        Skipping(2, "bilinear", align_corners=True),
        Skipping(2, "bilinear", scale_factor=None, size=(16, 16)),
        SkippingTwice(2, "bilinear"),
        SkippingFeatures(2, "bilinear"),
        Shuffling(2, outputs=folding.LANES),  # it fills all lanes as it is
        Shuffling(2, side=7),  # looks further than the neighbouring blocks
        Branching(2),
        Deciding(2),
        Sized(),
        Named(2),
        nn.Sequential(nn.ConvTranspose2d(3, 3, 4, stride=2)),  # leaves a border
        nn.Sequential(nn.Conv2d(3, 3, 3, padding=1)),
    ],
)
def test_networks_that_cannot_be_folded_or_gain_nothing_are_unchanged(network: nn.Module) -> None:
    assert folding.folded(network.eval(), 3, 8) is network


def test_folding_does_not_modify_the_original() -> None:
    network = Shuffling(2).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folding.folded(network, 3, 8)
    assert shuffles(network) == [nn.Conv2d, nn.PixelShuffle, nn.Conv2d]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
