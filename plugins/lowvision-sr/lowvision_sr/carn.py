"""CARN-M: cascading residual blocks of grouped convolutions (Ahn, Kang, Sohn, ECCV 2018)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lowvision import EarlyExit, Skip
from lowvision.layers import (
    STEPS,
    MeanShift,
    add_skip,
    init_kaiming_,
    init_near_zero_,
    init_zero_mean_,
    scale_residual_,
)
from lowvision_sr import Colour

SHARED = 3
"""Number of times a cascading block runs its shared residual block."""


class Network(nn.Module, EarlyExit):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(
        self,
        *,
        colours: int,
        scale: int,
        channels: int,
        layers: int,
        groups: int,
        batch_norm: bool,
        fusion_bias: bool,
        mean: Colour,
        skip: Skip,
    ):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.mean = MeanShift(colours, mean)
        self.entry = nn.Conv2d(colours, channels, 3, padding=1)
        self.blocks = nn.ModuleList(CascadingBlock(channels, groups, batch_norm, fusion_bias) for _ in range(layers))
        self.fusions = fusions(layers, channels, batch_norm, fusion_bias)
        self.enlarge = nn.Sequential()
        for factor in STEPS[scale]:
            self.enlarge.append(nn.Conv2d(channels, channels * factor**2, 3, padding=1, groups=groups))
            self.enlarge.append(nn.ReLU(inplace=True))
            self.enlarge.append(nn.PixelShuffle(factor))
        self.exit = nn.Conv2d(channels, colours, 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self)
        for module in self.modules():
            if isinstance(module, EfficientResidual):
                scale_residual_(module.mix)
        init_near_zero_(self.exit)
        if self.skip != "none":
            init_zero_mean_(self.entry)

    def forward(self, lq: Tensor) -> Tensor:
        return self.forward_head((cascade(self.blocks, self.fusions, self.entry(self.mean.sub(lq))),), lq)

    def forward_stem(self, lq: Tensor) -> tuple[Tensor, ...]:
        features = self.entry(self.mean.sub(lq))  # (B, channels, h, w)
        return features, features

    def forward_block(self, state: tuple[Tensor, ...], block: int) -> tuple[Tensor, ...]:
        features, seen = state
        return step(self.blocks[block], self.fusions[block], features, seen)

    def forward_head(self, state: tuple[Tensor, ...], lq: Tensor) -> Tensor:
        features, lq = state[0], self.mean.sub(lq)
        image = self.exit(self.enlarge(features))  # (B, colours, h*scale, w*scale)
        return self.mean.add(add_skip(image, lq, self.scale, self.skip))


class CascadingBlock(nn.Module):
    """One residual block, run three times; each next input is a fusion of all features so far."""

    def __init__(self, channels: int, groups: int, batch_norm: bool, fusion_bias: bool):
        super().__init__()
        self.residual = EfficientResidual(channels, groups)
        self.fusions = fusions(SHARED, channels, batch_norm, fusion_bias)

    def forward(self, features: Tensor) -> Tensor:
        return cascade([self.residual] * SHARED, self.fusions, features)


class EfficientResidual(nn.Module):
    """The paper's residual-E block: two grouped 3x3 convolutions and a 1x1 convolution that mixes the groups."""

    def __init__(self, channels: int, groups: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
        )
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu_(self.mix(self.body(features)) + features)


def cascade(blocks: Iterable[nn.Module], fusions: Iterable[nn.Module], features: Tensor) -> Tensor:
    """Run the blocks in turn; each next input is a fusion of the first input and all outputs so far."""
    seen = features
    for block, fusion in zip(blocks, fusions, strict=True):
        features, seen = step(block, fusion, features, seen)
    return features


def step(block: nn.Module, fusion: nn.Module, features: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next block's input (B,channels,h,w), and all outputs so far."""
    seen = torch.cat([seen, block(features)], dim=1)  # (B, channels * (blocks so far + 1), h, w)
    return fusion(seen), seen


def fusions(count: int, channels: int, batch_norm: bool, bias: bool) -> nn.ModuleList:
    """Build the 1x1 convolutions of a cascade; each reads `channels` more than the one before."""

    def fusion(parts: int) -> nn.Sequential:
        convolution = nn.Conv2d(parts * channels, channels, 1, bias=bias)
        norm = [nn.BatchNorm2d(channels)] if batch_norm else []
        return nn.Sequential(convolution, *norm, nn.ReLU(inplace=True))

    return nn.ModuleList(fusion(parts) for parts in range(2, count + 2))
