"""The Class-Module: a 4x4 patch embedding, 1x1 convolutions, an average (Kong et al., CVPR 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PATCH = 4
WIDTH = 128
FEATURES = 32
SLOPE = 0.1


class Network(nn.Module):
    """The Class-Module, (B,colours,h,w) -> logits (B,classes); h and w are at least 4."""

    def __init__(self, *, colours: int, classes: int, gain: float):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(colours, WIDTH, PATCH, stride=PATCH),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(WIDTH, WIDTH, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(WIDTH, WIDTH, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(WIDTH, WIDTH, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(WIDTH, FEATURES, 1),
        )
        self.last = nn.Linear(FEATURES, classes)
        self._initialise(gain)

    def _initialise(self, gain: float) -> None:
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # every convolution here has a bias
                with torch.no_grad():
                    module.weight.mul_(gain)

    def forward(self, lq: Tensor) -> Tensor:
        features = self.features(lq)  # (B, 32, h/4, w/4)
        return self.last(features.mean(dim=(2, 3)))  # (B, classes)
