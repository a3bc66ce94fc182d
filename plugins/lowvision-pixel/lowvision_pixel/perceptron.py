"""A perceptron that computes single output pixels (as in LIIF, Chen, Liu, Wang, CVPR 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """Map the features of an LQ pixel and a position inside that pixel to an output.

    The first layer is linear in both. Its feature part is computed once per LQ pixel (`enter`) and its position part is
    added (`at`, `at_all`), which equals a layer on their concatenation.
    """

    places: Tensor
    """(scale^2,2): row and column of each position, -1 to 1 across the LQ pixel."""

    def __init__(self, channels: int, hidden: Sequence[int], out: int, scale: int):
        super().__init__()
        first, *_ = widths = [*hidden, out]
        self.features = nn.Linear(channels, first)
        self.place = nn.Linear(2, first, bias=False)
        self.rest = nn.Sequential()
        for old, new in pairwise(widths):
            self.rest.append(nn.ReLU())
            self.rest.append(nn.Linear(old, new))
        centres = (2 * torch.arange(scale) + 1) / scale - 1
        self.register_buffer("places", torch.cartesian_prod(centres, centres), persistent=False)
        self._initialise(channels)

    def _initialise(self, channels: int) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
        nn.init.normal_(self.place.weight, std=(2 / (channels + 2)) ** 0.5)  # as if it were one layer with `features`
        for bias in (module.bias for module in self.modules() if isinstance(module, nn.Linear)):
            if bias is not None:
                nn.init.zeros_(bias)

    @property
    def last(self) -> nn.Linear:
        """The output layer."""
        module = self.rest[-1] if len(self.rest) else self.features
        assert isinstance(module, nn.Linear)
        return module

    def enter(self, features: Tensor) -> Tensor:
        """Compute the feature part of the first layer: (...,channels) -> (...,first)."""
        return self.features(features)

    def at_all(self, entered: Tensor) -> Tensor:
        """Return the outputs at all positions of LQ pixels: (...,first) -> (...,scale^2,out)."""
        return self.rest(entered[..., None, :] + self.place(self.places))

    def at(self, entered: Tensor, pixels: Tensor, places: Tensor) -> Tensor:
        """Return the outputs (Q,out) at Q positions: number `places` (Q,) in the LQ pixel number `pixels` (Q,) of N."""
        return self.rest(entered[pixels] + self.place(self.places)[places])
