"""EDSR: residual blocks without BatchNorm inside a long skip (Lim, Son, Kim, Nah, Lee, CVPRW 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import (
    MeanShift,
    ResidualBlock,
    add_skip,
    init_kaiming_,
    init_near_zero_,
    init_zero_mean_,
    scale_residual_,
    upsampler,
)


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.mean = MeanShift(colours)
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(layers)))
        self.blocks_end = nn.Conv2d(channels, channels, 3, padding=1)
        self.enlarge = upsampler(channels, scale)
        self.last = nn.Conv2d(channels, colours, 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                scale_residual_(module.end)
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        lq = self.mean.sub(lq)
        shallow = self.head(lq)  # (B, channels, h, w)
        features = shallow + self.blocks_end(self.blocks(shallow))  # (B, channels, h, w)
        image = self.last(self.enlarge(features))  # (B, colours, h*scale, w*scale)
        return self.mean.add(add_skip(image, lq, self.scale, self.skip))
