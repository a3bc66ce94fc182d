"""Initial weights that train: Kaiming's, weak ends of residual branches, a first layer for detail, a faint last one."""

from __future__ import annotations

import torch
from torch import nn

WEAK = 0.1
"""Of the end of a residual branch, against Kaiming's weights."""
QUIET = 0.3
"""Of the first layer of a network with a skip, against Kaiming's weights."""
FAINT = 1e-3
"""Standard deviation of the last layer's weights."""


def init_kaiming_(network: nn.Module, slope: float = 0.0) -> None:
    """Convolutions that keep the variance across an activation of that negative slope; biases 0 (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def scale_residual_(residual_end: nn.Conv2d) -> None:
    """The last convolution of a residual branch, ten times weaker: else every block doubles the variance."""
    with torch.no_grad():
        residual_end.weight.mul_(WEAK)


def init_zero_mean_(first: nn.Conv2d) -> None:
    """A first layer whose kernels sum to zero, so that flat areas, whatever their colour, start at zero.

    For networks with a skip: the interpolation brings the colour, and what is left to learn is detail. With brightness
    in every feature, the first steps of Adam shift whole images, and hundreds more go into undoing that; three times
    quieter features make those steps smaller still.
    """
    with torch.no_grad():
        first.weight.sub_(first.weight.mean(dim=(2, 3), keepdim=True)).mul_(QUIET)  # (channels, colours, k, k)


def init_near_zero_(last: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """A last layer that hardly speaks yet, so that a network with a skip starts at the interpolation.

    Dong et al. 2016 (FSRCNN) start their transposed convolution like this. Only the last layer may be faint: where
    all are, the gradient vanishes below Adam's epsilon and a network with a skip stays the interpolation for good.
    """
    nn.init.normal_(last.weight, std=FAINT)
