"""SRCNN: patches, mapping, reconstruction, on the interpolated image (Dong, Loy, He, Tang, IEEE TPAMI 2016)."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip, upsample
from lowvision.layers import add_skip, init_kaiming_, init_near_zero_, init_zero_mean_


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, middle: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        half = channels // 2
        first = nn.Conv2d(colours, channels, 9, padding=4)
        self.first = nn.Sequential(first, nn.ReLU(inplace=True))
        self.enter = nn.Sequential(nn.Conv2d(channels, half, middle, padding=middle // 2), nn.ReLU(inplace=True))
        self.mapping = nn.Sequential()
        for _ in range(layers - 1):
            self.mapping.append(nn.Conv2d(half, half, middle, padding=middle // 2))
            self.mapping.append(nn.ReLU(inplace=True))
        self.last = nn.Conv2d(half, colours, 5, padding=2)
        init_kaiming_(self)
        init_near_zero_(self.last)
        if skip != "none":
            init_zero_mean_(first)

    def forward(self, lq: Tensor) -> Tensor:
        features = self.first(upsample(lq, self.scale, "bicubic"))  # (B, channels, h*scale, w*scale)
        image = self.last(self.mapping(self.enter(features)))  # (B, colours, h*scale, w*scale)
        return add_skip(image, lq, self.scale, self.skip)
