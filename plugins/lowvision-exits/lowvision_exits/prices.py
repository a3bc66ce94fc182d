"""What a tile costs that leaves at each exit: exact multiply-adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from lowvision import EarlyExit, multiply_adds


@dataclass(frozen=True)
class Prices:
    """Multiply-adds on one tile."""

    whole: int
    """Of forward, where no regressor is asked."""
    exits: tuple[int, ...]
    """Up to each exit, with its image and all regressors that were asked on the way."""


def prices(network: nn.Module, regressor: nn.Module, places: Sequence[int], shape: Sequence[int]) -> Prices:
    """Of a tile of shape (1,C,h,w). Counted on the graphs that run, not by proportion."""
    asked = multiply_adds(_Judged(network, regressor), shape) - multiply_adds(_Judged(network, nn.Identity()), shape)
    last = len(places) - 1  # where nothing is asked any more
    return Prices(
        multiply_adds(network, shape),
        tuple(
            multiply_adds(_Left(network, place), shape) + asked * min(number + 1, last)
            for number, place in enumerate(places)
        ),
    )


class _Left(nn.Module):
    """The network, left after so many blocks."""

    def __init__(self, network: nn.Module, place: int):
        super().__init__()
        self.network, self.place = network, place

    def forward(self, lq: Tensor) -> Tensor:
        leavable = cast(EarlyExit, self.network)
        state = leavable.forward_stem(lq)
        for block in range(self.place):
            state = leavable.forward_block(state, block)
        return leavable.forward_head(state, lq)


class _Judged(nn.Module):
    """A regressor's word on features, which have one shape at every exit."""

    def __init__(self, network: nn.Module, regressor: nn.Module):
        super().__init__()
        self.network, self.regressor = network, regressor

    def forward(self, lq: Tensor) -> Tensor:
        return cast(Tensor, self.regressor(cast(EarlyExit, self.network).forward_stem(lq)[0]))
