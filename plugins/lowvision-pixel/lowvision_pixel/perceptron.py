"""A perceptron that is asked for single pixels of the enlarged image (as LIIF, Chen, Liu, Wang, CVPR 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """From the features of an LQ pixel, and a place inside that pixel, to what is wanted there.

    The first layer is linear in both, so what it makes of the features is computed once for all places of a pixel
    (`enter`), and what it makes of the places is added (`leave`). That is exactly what the concatenation of both gives.
    """

    places: Tensor
    """(scale^2,2): row and column of each place, -1 to 1 across the LQ pixel."""

    def __init__(self, channels: int, hidden: Sequence[int], out: int, scale: int):
        super().__init__()
        first, *_ = widths = [*hidden, out]
        self.features = nn.Linear(channels, first)
        self.place = nn.Linear(2, first, bias=False)
        self.rest = nn.Sequential()
        for old, new in pairwise(widths):
            self.rest.append(nn.ReLU())
            self.rest.append(nn.Linear(old, new))
        middles = (2 * torch.arange(scale) + 1) / scale - 1
        self.register_buffer("places", torch.cartesian_prod(middles, middles), persistent=False)
        self._initialise(channels)

    def _initialise(self, channels: int) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
        nn.init.normal_(self.place.weight, std=(2 / (channels + 2)) ** 0.5)  # as one layer with the features'
        for bias in (module.bias for module in self.modules() if isinstance(module, nn.Linear)):
            if bias is not None:
                nn.init.zeros_(bias)

    @property
    def last(self) -> nn.Linear:
        """The layer that speaks."""
        module = self.rest[-1] if len(self.rest) else self.features
        assert isinstance(module, nn.Linear)
        return module

    def enter(self, features: Tensor) -> Tensor:
        """(...,channels) of LQ pixels -> (...,first)."""
        return self.features(features)

    def at_all(self, entered: Tensor) -> Tensor:
        """(...,first) -> (...,scale^2,out): what is wanted at every place of those LQ pixels."""
        return self.rest(entered[..., None, :] + self.place(self.places))

    def at(self, entered: Tensor, pixels: Tensor, places: Tensor) -> Tensor:
        """What is wanted at single places (Q,) of single LQ pixels (Q,), of entered (N,first): (Q,out)."""
        return self.rest(entered[pixels] + self.place(self.places)[places])
