"""Conv3XC: the training form of a 3x3 convolution in SPAN, and its exact fold into one convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision.layers import Fusible

GAIN = 2
"""Width of the two inner convolutions, as a multiple of the input's and the output's channels."""


class Conv3XC(nn.Module, Fusible):
    """1x1, 3x3 and 1x1 convolutions in sequence, plus a parallel 1x1: (B,C,h,w) -> (B,C',h,w).

    Zeros surround the input of the first 1x1 convolution, not that of the 3x3, so that its bias reaches the border too
    and the sequence equals one 3x3 convolution everywhere.
    """

    def __init__(self, into: int, out: int):
        super().__init__()
        self.expand = nn.Conv2d(into, GAIN * into, 1)
        self.spread = nn.Conv2d(GAIN * into, GAIN * out, 3)
        self.project = nn.Conv2d(GAIN * out, out, 1)
        self.skip = nn.Conv2d(into, out, 1)

    def forward(self, features: Tensor) -> Tensor:
        wide = functional.pad(features, (1, 1, 1, 1))  # (B, C, h+2, w+2)
        return self.project(self.spread(self.expand(wide))) + self.skip(features)

    def fused(self) -> nn.Conv2d:
        """Return the one 3x3 convolution, padded by zeros, that computes the same."""
        parts = (self.expand, self.spread, self.project, self.skip)
        weight, bias = folded_weights(*((part.weight, _bias_of(part)) for part in parts))
        convolution = nn.Conv2d(self.skip.in_channels, self.skip.out_channels, 3, padding=1).to(self.skip.weight)
        with torch.no_grad():
            convolution.weight.copy_(weight)
            _bias_of(convolution).copy_(bias)
        return convolution


Weights = tuple[Tensor, Tensor]
"""Weight (C',C,k,k) and bias (C',) of a convolution."""


@torch.no_grad()
def folded_weights(expand: Weights, spread: Weights, project: Weights, skip: Weights) -> Weights:
    """Return weight and bias of the 3x3 convolution that equals `project(spread(expand(x))) + skip(x)`.

    Computed in float64, so that the result is rounded once, by the caller.
    """
    (first, first_bias), (middle, middle_bias), (last, last_bias), (side, side_bias) = (
        (weight.double(), bias.double()) for weight, bias in (expand, spread, project, skip)
    )
    before, after = first[:, :, 0, 0], last[:, :, 0, 0]  # (2C, C), (C', 2C')
    weight = torch.einsum("om,mnhw,ni->oihw", after, middle, before)  # (C', C, 3, 3)
    weight[:, :, 1, 1] += side[:, :, 0, 0]
    inner = middle_bias + torch.einsum("mnhw,n->m", middle, first_bias)  # (2C',)
    return weight, last_bias + after @ inner + side_bias


def _bias_of(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None  # each is built with one
    return convolution.bias
