"""Initialisation: Kaiming, scaled residual branches, a zero-mean first layer, a near-zero last layer."""

from __future__ import annotations

import torch
from torch import nn

WEAK = 0.1
"""Scale of the last convolution of a residual branch, relative to Kaiming."""
QUIET = 0.3
"""Scale of the first layer of a network with a skip, relative to Kaiming."""
FAINT = 1e-3
"""Standard deviation of the weights of the last layer."""


def init_kaiming_(network: nn.Module, slope: float = 0.0) -> None:
    """Initialise convolutions to keep the variance across a (leaky) ReLU; biases 0 (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def scale_residual_(residual_end: nn.Conv2d) -> None:
    """Scale the last convolution of a residual branch by 0.1; otherwise every block doubles the variance."""
    with torch.no_grad():
        residual_end.weight.mul_(WEAK)


def init_zero_mean_(first: nn.Conv2d) -> None:
    """Make the kernels of a first layer sum to zero, so that the features of flat areas start at zero.

    For networks with a skip: the interpolation provides the colour, and the network only learns detail. If every
    feature contained brightness, the first steps of Adam would shift whole images, and hundreds more would undo that.
    Scaling the features by 0.3 makes those steps smaller still.
    """
    with torch.no_grad():
        first.weight.sub_(first.weight.mean(dim=(2, 3), keepdim=True)).mul_(QUIET)  # (channels, colours, k, k)


def init_near_zero_(last: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Initialise a last layer near zero, so that a network with a skip starts at the interpolation.

    Dong et al. 2016 (FSRCNN) initialise their transposed convolution like this. Only the last layer may be near zero:
    if all layers are, the gradient falls below Adam's epsilon and the network never leaves the interpolation.
    """
    nn.init.normal_(last.weight, std=FAINT)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
