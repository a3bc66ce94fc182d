"""SRResNet without BatchNorm, trunk skip and trunk-end convolution (MSRResNet; after Ledig et al., CVPR 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import EarlyExit, Skip
from lowvision.layers import (
    STEPS,
    ResidualBlock,
    add_skip,
    init_kaiming_,
    init_near_zero_,
    init_zero_mean_,
    scale_residual_,
)

SLOPE = 0.1


class Network(nn.Module, EarlyExit):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.first = nn.Conv2d(colours, channels, 3, padding=1)
        self.trunk = nn.Sequential(nn.LeakyReLU(SLOPE, inplace=True), *(ResidualBlock(channels) for _ in range(layers)))
        self.enlarge = nn.Sequential()
        for factor in STEPS[scale]:
            self.enlarge.append(nn.Conv2d(channels, channels * factor**2, 3, padding=1))
            self.enlarge.append(nn.PixelShuffle(factor))
            self.enlarge.append(nn.LeakyReLU(SLOPE, inplace=True))
        self.refine = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(SLOPE, inplace=True))
        self.last = nn.Conv2d(channels, colours, 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self, SLOPE)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                scale_residual_(module.end)
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.first)

    def forward(self, lq: Tensor) -> Tensor:
        return self.forward_head((self.trunk(self.first(lq)),), lq)

    def forward_stem(self, lq: Tensor) -> tuple[Tensor, ...]:
        return (self.trunk[0](self.first(lq)),)  # (B, channels, h, w)

    def forward_block(self, state: tuple[Tensor, ...], block: int) -> tuple[Tensor, ...]:
        return (self.trunk[1 + block](state[0]),)

    def forward_head(self, state: tuple[Tensor, ...], lq: Tensor) -> Tensor:
        (features,) = state
        image = self.last(self.refine(self.enlarge(features)))  # (B, colours, h*scale, w*scale)
        return add_skip(image, lq, self.scale, self.skip)
