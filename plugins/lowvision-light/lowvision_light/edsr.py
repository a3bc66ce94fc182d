"""EDSR: residual blocks without BatchNorm inside a long skip (Lim, Son, Kim, Nah, Lee, CVPRW 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import Mean, ResidualBlock, add_skip, faint, kaiming, look_for_detail, shuffling, weaken


class Network(nn.Module):
    """(B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.mean = Mean(colours)
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(layers)))
        self.blocks_end = nn.Conv2d(channels, channels, 3, padding=1)
        self.enlarge = shuffling(channels, scale)
        self.last = nn.Conv2d(channels, colours, 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        kaiming(self)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                weaken(module.end)
        faint(self.last)
        if self.skip != "none":
            look_for_detail(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        lq = self.mean.take(lq)
        shallow = self.head(lq)  # (B, channels, h, w)
        features = shallow + self.blocks_end(self.blocks(shallow))  # (B, channels, h, w)
        image = self.last(self.enlarge(features))  # (B, colours, h*scale, w*scale)
        return self.mean.give(add_skip(image, lq, self.scale, self.skip))
