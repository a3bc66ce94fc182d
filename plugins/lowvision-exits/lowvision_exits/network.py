"""A network with exits: static as a whole, or left by each tile where going on would gain too little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from lowvision import Adaptive, EarlyExit
from lowvision_exits.prices import Prices, prices
from lowvision_exits.threshold import NEVER, solved

AT_A_TIME = 16
"""Tiles that are looked at together when a budget is set."""
FAINT = 1e-3
"""Strength of features below which nothing is told apart."""
PACE = 0.02
"""Share of a batch in what is known of all tiles."""


class Network(nn.Module, Adaptive):
    """(B,C,h,w) -> (B,C,s*h,s*w).

    A tile leaves at the first exit whose capacity is more than the threshold. The capacity is 1 - tanh of the gain in
    dB that the regressor expects of going on to the end: 0 where much is to be gained, 1 where nothing is.
    """

    threshold: Tensor

    def __init__(self, network: nn.Module, regressor: Regressor, places: tuple[int, ...]):
        super().__init__()
        self.network, self.regressor = network, regressor
        self.places = places
        self.register_buffer("threshold", torch.tensor(NEVER))
        self._known: dict[tuple[int, ...], Prices] = {}

    def forward(self, lq: Tensor) -> Tensor:
        return cast(Tensor, self.network(lq))

    def through(self, lq: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """What there is at each exit in turn; see `EarlyExit`."""
        state = self.leavable.forward_stem(lq)
        for came, place in pairwise((0, *self.places)):
            state = self._forth(state, came, place)
            yield state

    @torch.no_grad()
    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        price = self._prices(tiles)
        if self.threshold >= NEVER:
            return self(tiles), torch.full((len(tiles),), price.whole, dtype=torch.int64, device=tiles.device)
        rows = torch.arange(len(tiles), device=tiles.device)  # of those tiles that are still inside
        images, order, spent = [], [], []
        state = self.leavable.forward_stem(tiles)
        for number, (came, place) in enumerate(pairwise((0, *self.places))):
            state = self._forth(state, came, place)
            leaves = self._leaves(state[0], number)
            if leaves.any():
                images.append(self.leavable.forward_head(_some(state, leaves), tiles[rows[leaves]]))
                order.append(rows[leaves])
                spent.append(torch.full_like(rows[leaves], price.exits[number]))
            if leaves.all():
                break
            state, rows = _some(state, ~leaves), rows[~leaves]
        back = torch.cat(order).argsort()
        return torch.cat(images)[back], torch.cat(spent)[back]

    @torch.no_grad()
    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        """See `Adaptive`; gt is not asked, since what a tile would gain is judged without it."""
        capacities = torch.cat([self._capacities(some) for some in lq.split(AT_A_TIME)])  # (N, exits - 1)
        self.threshold.fill_(solved(share, capacities, self._prices(lq)))

    @property
    def leavable(self) -> EarlyExit:
        """The network inside, block by block."""
        return cast(EarlyExit, self.network)

    def _forth(self, state: tuple[Tensor, ...], came: int, place: int) -> tuple[Tensor, ...]:
        for block in range(came, place):
            state = self.leavable.forward_block(state, block)
        return state

    def _leaves(self, features: Tensor, number: int) -> Tensor:
        """(B,) which tiles leave at this exit; at the last all do, and nobody is asked."""
        if number == len(self.places) - 1:
            return torch.ones(len(features), dtype=torch.bool, device=features.device)
        return capacity(self.regressor(features, number)) > self.threshold

    def _capacities(self, lq: Tensor) -> Tensor:
        """(B, exits - 1)"""
        judged = zip(self.through(lq), range(len(self.places) - 1), strict=False)
        return torch.stack([capacity(self.regressor(state[0], number)) for state, number in judged], dim=1)

    def _prices(self, tiles: Tensor) -> Prices:
        shape = tuple(tiles.shape[1:])
        if shape not in self._known:
            self._known[shape] = prices(self.network, self.regressor, self.places, (1, *shape))
        return self._known[shape]


class Regressor(nn.Module):
    """What going on from an exit to the end would gain on each tile, in dB: (B,F,h,w) features there -> (B,).

    One for all exits, but for an offset of each. APE has one linear layer on the mean of each feature; features of most
    networks are what convolutions add up, whose strength tells more than their mean, so it is told as well.
    """

    def __init__(self, features: int, exits: int, hidden: int):
        super().__init__()
        self.standard = Standard(2 * features)
        self.judge = nn.Sequential(nn.Linear(2 * features, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.offsets = nn.Parameter(torch.zeros(exits - 1))

    def forward(self, features: Tensor, number: int = 0) -> Tensor:
        strength = features.abs().mean(dim=(2, 3)).add(FAINT).log()
        told = self.standard(torch.cat([features.mean(dim=(2, 3)), strength], dim=1))  # (B, 2F)
        return cast(Tensor, self.judge(told)).squeeze(1) + self.offsets[number]


class Standard(nn.Module):
    """Numbers (B,N) less their mean, by their deviation; both are followed while it trains, tile by tile or in batches.

    How strong features are differs a hundredfold from network to network, and a regressor has few steps to find out.
    """

    mean: Tensor
    square: Tensor

    def __init__(self, numbers: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("square", torch.ones(numbers))

    def forward(self, numbers: Tensor) -> Tensor:
        numbers = numbers.to(self.mean.dtype)  # half of it in mixed precision, of which the mean would learn little
        if self.training:
            self.mean.lerp_(numbers.detach().mean(dim=0), PACE)
            self.square.lerp_(numbers.detach().square().mean(dim=0), PACE)
        deviation = (self.square - self.mean.square()).clamp_min(FAINT**2).sqrt()
        return (numbers - self.mean) / deviation


def capacity(gain: Tensor) -> Tensor:
    """The capacity of APE, of a gain in dB: between 0, much is to be gained, and 2, much is to be lost."""
    return 1 - gain.tanh()


def built(network: nn.Module, places: tuple[int, ...], hidden: int, smallest: Sequence[int]) -> Network:
    """The network with exits; smallest: the shape (1,C,h,w) of an input that it takes."""
    with torch.no_grad():
        features = cast(EarlyExit, network).forward_stem(torch.zeros(*smallest))[0].shape[1]
    return Network(network, Regressor(features, len(places), hidden), places)


def _some(state: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor[rows] for tensor in state)
