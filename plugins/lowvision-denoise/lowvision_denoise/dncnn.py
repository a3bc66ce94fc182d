"""DnCNN: a plain stack of convolutions that predicts the noise (Zhang et al., IEEE TIP 2017)."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn

QUIET = 0.3
"""Of the first layer, against Kaiming's weights."""
FAINT = 1e-3
"""Standard deviation of the last layer's weights."""


class Network(nn.Module):
    """(B,colours,h,w) with noise -> (B,colours,h,w) without."""

    def __init__(self, *, colours: int, channels: int, layers: int, batch_norm: bool):
        super().__init__()
        inner = (_inner(channels, batch_norm) for _ in range(layers - 2))
        self.noise = nn.Sequential(
            nn.Conv2d(colours, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            *chain.from_iterable(inner),
            nn.Conv2d(channels, colours, 3, padding=1),
        )
        self._initialise()

    def _initialise(self) -> None:
        """Kaiming's weights, zero biases, a first layer that is blind to flat areas, and a faint last one.

        So the network starts as the identity, and its first steps learn noise rather than brightness.
        """
        convolutions = [module for module in self.noise if isinstance(module, nn.Conv2d)]
        for convolution in convolutions:
            nn.init.kaiming_normal_(convolution.weight)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
        first, last = convolutions[0], convolutions[-1]
        with torch.no_grad():
            first.weight.sub_(first.weight.mean(dim=(2, 3), keepdim=True)).mul_(QUIET)  # (channels, colours, 3, 3)
        nn.init.normal_(last.weight, std=FAINT)

    def forward(self, lq: Tensor) -> Tensor:
        return lq - self.noise(lq)


def _inner(channels: int, batch_norm: bool) -> list[nn.Module]:
    """One inner layer; a bias before BatchNorm would be subtracted again, so there is none."""
    norm = [nn.BatchNorm2d(channels)] if batch_norm else []
    return [nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm), *norm, nn.ReLU(inplace=True)]
