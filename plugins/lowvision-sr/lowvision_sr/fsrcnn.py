"""FSRCNN: shrink, map, expand, upsample (Dong, Loy, Tang, ECCV 2016), in the form of the ClassSR paper."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import HOURGLASS_SLOPE, add_skip, hourglass, init_kaiming_, init_near_zero_, init_zero_mean_

KERNEL = 9
"""Kernel size of the transposed convolution."""


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, shrink: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.features = hourglass(colours, channels, shrink, layers)
        # The output is exactly scale times larger if 2 * padding - output_padding = KERNEL - scale.
        padding = (KERNEL - scale + 1) // 2
        self.enlarge = nn.ConvTranspose2d(
            channels, colours, KERNEL, stride=scale, padding=padding, output_padding=2 * padding - (KERNEL - scale)
        )
        init_kaiming_(self, HOURGLASS_SLOPE)
        init_near_zero_(self.enlarge)
        if skip != "none":
            init_zero_mean_(self.features[0])  # type: ignore[arg-type]  # a convolution

    def forward(self, lq: Tensor) -> Tensor:
        features = self.features(lq)  # (B, channels, h, w)
        return add_skip(self.enlarge(features), lq, self.scale, self.skip)
