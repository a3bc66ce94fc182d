"""FSRCNN whose leading channels are narrower FSRCNNs (Dong et al., ECCV 2016, in the form of ClassSR)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lowvision import Skip
from lowvision.layers import HOURGLASS_SLOPE, add_skip, init_kaiming_, init_near_zero_, init_zero_mean_

KERNEL = 9
"""Kernel size of the transposed convolution."""


class Sliced(nn.Module):
    """The network, of all channels or only the leading ones: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, shrink: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.first = nn.Conv2d(colours, channels, 5, padding=2)
        self.shrink = nn.Conv2d(channels, shrink, 1)
        self.mapping = nn.Sequential(*(nn.Conv2d(shrink, shrink, 3, padding=1) for _ in range(layers)))
        self.expand = nn.Conv2d(shrink, channels, 1)
        # The output is exactly scale times larger if 2 * padding - output_padding = KERNEL - scale.
        padding = (KERNEL - scale + 1) // 2
        self.enlarge = nn.ConvTranspose2d(
            channels, colours, KERNEL, stride=scale, padding=padding, output_padding=2 * padding - (KERNEL - scale)
        )
        self.activations = nn.ModuleList(nn.PReLU(init=HOURGLASS_SLOPE) for _ in range(4))
        init_kaiming_(self, HOURGLASS_SLOPE)
        init_near_zero_(self.enlarge)
        if skip != "none":
            init_zero_mean_(self.first)

    def forward(self, lq: Tensor, channels: int | None = None) -> Tensor:
        """channels: number of leading channels of the first and last convolution to use; None: all."""
        first, shrunk, mapped, expanded = self.activations
        features = first(conv_leading_outputs(self.first, lq, channels))  # (B, channels, h, w)
        features = shrunk(conv_leading_inputs(self.shrink, features))  # (B, shrink, h, w)
        features = mapped(self.mapping(features))
        features = expanded(conv_leading_outputs(self.expand, features, channels))  # (B, channels, h, w)
        return add_skip(transposed_leading_inputs(self.enlarge, features), lq, self.scale, self.skip)


class Slice(nn.Module):
    """One width with shared weights, used to count its cost."""

    def __init__(self, whole: Sliced, channels: int):
        super().__init__()
        self.whole, self.channels = whole, channels

    def forward(self, lq: Tensor) -> Tensor:
        return self.whole(lq, self.channels)


def conv_leading_outputs(convolution: nn.Conv2d, features: Tensor, channels: int | None) -> Tensor:
    """Compute only the first `channels` output channels of a convolution."""
    assert convolution.bias is not None
    return functional.conv2d(
        features, convolution.weight[:channels], convolution.bias[:channels], padding=convolution.padding
    )


def conv_leading_inputs(convolution: nn.Conv2d, features: Tensor) -> Tensor:
    """Apply a convolution to features that hold only its leading input channels."""
    return functional.conv2d(features, convolution.weight[:, : features.shape[1]], convolution.bias)


def transposed_leading_inputs(transposed: nn.ConvTranspose2d, features: Tensor) -> Tensor:
    """Apply a transposed convolution to features that hold only its leading input channels."""
    assert not isinstance(transposed.padding, str)
    return functional.conv_transpose2d(
        features,
        transposed.weight[: features.shape[1]],
        transposed.bias,
        transposed.stride,
        transposed.padding,
        transposed.output_padding,
    )
