"""VDSR: a deep stack of convolutions that predicts the residual of the interpolation (Kim, Lee, Lee, CVPR 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip, upsample
from lowvision.layers import add_skip, init_kaiming_, init_near_zero_, init_zero_mean_


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        first = nn.Conv2d(colours, channels, 3, padding=1)
        self.first = nn.Sequential(first, nn.ReLU(inplace=True))
        self.inner = nn.Sequential()
        for _ in range(layers - 2):
            self.inner.append(nn.Conv2d(channels, channels, 3, padding=1))
            self.inner.append(nn.ReLU(inplace=True))
        self.last = nn.Conv2d(channels, colours, 3, padding=1)
        init_kaiming_(self)
        init_near_zero_(self.last)
        if skip != "none":
            init_zero_mean_(first)

    def forward(self, lq: Tensor) -> Tensor:
        features = self.first(upsample(lq, self.scale, "bicubic"))  # (B, channels, h*scale, w*scale)
        image = self.last(self.inner(features))  # (B, colours, h*scale, w*scale)
        return add_skip(image, lq, self.scale, self.skip)
