"""The first channels of features, for blocks that work on a part of them."""

from __future__ import annotations

from torch import Tensor, nn


class Leading(nn.Module):
    """Select the first `width` channels: (B,C,h,w) -> (B,width,h,w).

    A network that works on nested ranges of its channels selects each of them with this module. Reducers that slice
    weights then remove channels of every range in proportion, so that each range keeps its meaning.
    """

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def forward(self, features: Tensor) -> Tensor:
        return features[:, : self.width]
