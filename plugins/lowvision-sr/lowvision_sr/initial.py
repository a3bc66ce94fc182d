"""Initial weights that train: Kaiming's everywhere, weak ends of residual branches, a faint last layer."""

from __future__ import annotations

import torch
from torch import nn

WEAK = 0.1
FAINT = 1e-3


def kaiming(network: nn.Module, slope: float = 0.0) -> None:
    """Convolutions that keep the variance across an activation of that negative slope; biases 0 (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def weaken(residual_end: nn.Conv2d) -> None:
    """The last convolution of a residual branch, ten times weaker: else every block doubles the variance."""
    with torch.no_grad():
        residual_end.weight.mul_(WEAK)


def faint(last: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """A last layer that hardly speaks yet, so that a network with a skip starts at the interpolation.

    Dong et al. 2016 (sec. 4.1) start their transposed convolution like this. Only the last layer may be faint: where
    all are, the gradient vanishes below Adam's epsilon and a network with a skip stays the interpolation for good.
    """
    nn.init.normal_(last.weight, std=FAINT)
