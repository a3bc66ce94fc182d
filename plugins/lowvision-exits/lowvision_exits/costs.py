"""Exact multiply-adds of a tile per exit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from lowvision import EarlyExit, multiply_adds


@dataclass(frozen=True)
class Costs:
    """Multiply-adds on one tile."""

    whole: int
    """Cost of `forward`, without the regressor."""
    exits: tuple[int, ...]
    """Cost up to each exit, with the tail and all regressor calls before it."""


def counted(network: nn.Module, regressor: nn.Module, places: Sequence[int], shape: Sequence[int]) -> Costs:
    """Count the cost of a tile of shape (1,C,h,w), on the graphs that run."""
    stem = multiply_adds(_StemAndRegressor(network, nn.Identity()), shape)
    regression = multiply_adds(_StemAndRegressor(network, regressor), shape) - stem
    last = len(places) - 1  # there the regressor does not run
    return Costs(
        multiply_adds(network, shape),
        tuple(
            multiply_adds(_UpToExit(network, place), shape) + regression * min(number + 1, last)
            for number, place in enumerate(places)
        ),
    )


class _UpToExit(nn.Module):
    """The network up to an exit after `place` blocks."""

    def __init__(self, network: nn.Module, place: int):
        super().__init__()
        self.network, self.place = network, place

    def forward(self, lq: Tensor) -> Tensor:
        inner = cast(EarlyExit, self.network)
        state = inner.forward_stem(lq)
        for block in range(self.place):
            state = inner.forward_block(state, block)
        return inner.forward_head(state, lq)


class _StemAndRegressor(nn.Module):
    """The stem and the regressor; features have the same shape at every exit."""

    def __init__(self, network: nn.Module, regressor: nn.Module):
        super().__init__()
        self.network, self.regressor = network, regressor

    def forward(self, lq: Tensor) -> Tensor:
        return cast(Tensor, self.regressor(cast(EarlyExit, self.network).forward_stem(lq)[0]))
