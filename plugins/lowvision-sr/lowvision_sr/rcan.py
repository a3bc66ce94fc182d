"""RCAN: residual groups of channel-attention blocks (Zhang et al., ECCV 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import EarlyExit, Skip
from lowvision.layers import (
    MeanShift,
    add_skip,
    init_kaiming_,
    init_near_zero_,
    init_zero_mean_,
    scale_residual_,
    upsampler,
)
from lowvision_sr import Colour


class Network(nn.Module, EarlyExit):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(
        self,
        *,
        colours: int,
        scale: int,
        channels: int,
        layers: int,
        blocks: int,
        reduction: int,
        mean: Colour,
        skip: Skip,
    ):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.mean = MeanShift(colours, mean)
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.groups = nn.Sequential(*(Group(channels, blocks, reduction) for _ in range(layers)))
        self.groups_end = nn.Conv2d(channels, channels, 3, padding=1)
        self.enlarge = upsampler(channels, scale)
        self.last = nn.Conv2d(channels, colours, 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self)
        for module in self.modules():
            if isinstance(module, Group | AttentionBlock):
                scale_residual_(module.end)
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        features, shallow = self.forward_stem(lq)
        return self.forward_head((self.groups(features), shallow), lq)

    def forward_stem(self, lq: Tensor) -> tuple[Tensor, ...]:
        shallow = self.head(self.mean.sub(lq))  # (B, channels, h, w)
        return shallow, shallow

    def forward_block(self, state: tuple[Tensor, ...], block: int) -> tuple[Tensor, ...]:
        features, shallow = state
        return self.groups[block](features), shallow

    def forward_head(self, state: tuple[Tensor, ...], lq: Tensor) -> Tensor:
        (deep, shallow), lq = state, self.mean.sub(lq)
        features = shallow + self.groups_end(deep)  # (B, channels, h, w)
        image = self.last(self.enlarge(features))  # (B, colours, h*scale, w*scale)
        return self.mean.add(add_skip(image, lq, self.scale, self.skip))


class Group(nn.Module):
    """Channel-attention blocks and a convolution, with a residual connection."""

    def __init__(self, channels: int, blocks: int, reduction: int):
        super().__init__()
        self.blocks = nn.Sequential(*(AttentionBlock(channels, reduction) for _ in range(blocks)))
        self.end = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.end(self.blocks(features))


class AttentionBlock(nn.Module):
    """Convolution, ReLU, convolution, channel attention, with a residual connection."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        hidden = max(1, channels // reduction)
        self.start = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)
        self.end = nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        residual = self.end(self.activation(self.start(features)))
        return features + residual * self.attention(residual)  # attention is (B, channels, 1, 1)
