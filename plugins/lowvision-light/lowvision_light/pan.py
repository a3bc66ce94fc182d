"""PAN: self-calibrated blocks with pixel attention (Zhao, Kong, He, Qiao, Dong, ECCVW 2020).

Instead of one 1x1 convolution of the concatenated branches of a block, each branch has its own and the results are
added: the weights are equal, and a network of fewer channels can inherit slices.
"""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip, upsample
from lowvision.layers import STEPS, add_skip, init_kaiming_, init_near_zero_, init_zero_mean_, scale_residual_

SLOPE = 0.2


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        narrow = channels * 3 // 5
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(SelfCalibrated(channels) for _ in range(layers)))
        self.blocks_end = nn.Conv2d(channels, channels, 3, padding=1)
        widths = (channels, narrow)
        # At scale 1 there is one stage without upsampling.
        factors = STEPS[scale] or (1,)
        self.enlarge = nn.Sequential(*(Enlarging(widths[min(n, 1)], narrow, f) for n, f in enumerate(factors)))
        self.last = nn.Conv2d(narrow, colours, 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self, SLOPE)
        for module in self.modules():
            if isinstance(module, SelfCalibrated):
                scale_residual_(module.end_plain)
                scale_residual_(module.end_attended)
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        shallow = self.head(lq)  # (B, channels, h, w)
        features = shallow + self.blocks_end(self.blocks(shallow))  # (B, channels, h, w)
        image = self.last(self.enlarge(features))  # (B, colours, h*scale, w*scale)
        return add_skip(image, lq, self.scale, self.skip)


class SelfCalibrated(nn.Module):
    """Half of the features through a plain convolution, half through pixel attention; residual connection."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.activation = nn.LeakyReLU(SLOPE)
        self.start_plain = nn.Conv2d(channels, half, 1, bias=False)
        self.start_attended = nn.Conv2d(channels, half, 1, bias=False)
        self.plain = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.attended = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.attention = nn.Conv2d(half, half, 1)
        self.after = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.end_plain = nn.Conv2d(half, channels, 1, bias=False)
        self.end_attended = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        plain = self.activation(self.start_plain(features))  # (B, channels / 2, h, w)
        plain = self.activation(self.plain(plain))
        attended = self.activation(self.start_attended(features))  # (B, channels / 2, h, w)
        attended = self.after(self.attended(attended) * self.attention(attended).sigmoid())
        attended = self.activation(attended)
        return features + self.end_plain(plain) + self.end_attended(attended)


class Enlarging(nn.Module):
    """Nearest-neighbour upsampling, a convolution, pixel attention, a convolution."""

    def __init__(self, channels: int, narrow: int, factor: int):
        super().__init__()
        self.factor = factor
        self.activation = nn.LeakyReLU(SLOPE)
        self.first = nn.Conv2d(channels, narrow, 3, padding=1)
        self.attention = nn.Conv2d(narrow, narrow, 1)
        self.second = nn.Conv2d(narrow, narrow, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        features = self.first(upsample(features, self.factor, "nearest"))  # (B, narrow, h*factor, w*factor)
        features = self.activation(features * self.attention(features).sigmoid())
        return self.activation(self.second(features))
