"""FSRCNN: shrink, map, expand, enlarge (Dong, Loy, Tang, ECCV 2016), in the form of the ClassSR paper."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import add_skip, faint, kaiming, look_for_detail

SLOPE = 0.25
"""Where PReLU starts."""
KERNEL = 9
"""Of the transposed convolution."""


class Network(nn.Module):
    """(B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, shrink: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        first = nn.Conv2d(colours, channels, 5, padding=2)
        mapping = [nn.Conv2d(shrink, shrink, 3, padding=1) for _ in range(layers)]
        self.features = nn.Sequential(
            first,
            nn.PReLU(init=SLOPE),
            nn.Conv2d(channels, shrink, 1),
            nn.PReLU(init=SLOPE),
            # No activation between the mapping layers: so the reference trained the published numbers.
            *mapping,
            nn.PReLU(init=SLOPE),
            nn.Conv2d(shrink, channels, 1),
            nn.PReLU(init=SLOPE),
        )
        # Exactly scale times larger needs 2 * padding - output_padding = KERNEL - scale.
        padding = (KERNEL - scale + 1) // 2
        self.enlarge = nn.ConvTranspose2d(
            channels, colours, KERNEL, stride=scale, padding=padding, output_padding=2 * padding - (KERNEL - scale)
        )
        kaiming(self, SLOPE)
        faint(self.enlarge)
        if skip != "none":
            look_for_detail(first)

    def forward(self, lq: Tensor) -> Tensor:
        features = self.features(lq)  # (B, channels, h, w)
        return add_skip(self.enlarge(features), lq, self.scale, self.skip)
