"""A network with exits: static as a whole, or exited by each tile where the expected gain is too small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from lowvision import Adaptive, EarlyExit
from lowvision.layers import mean_over_processes
from lowvision_exits.costs import Costs, counted
from lowvision_exits.threshold import NEVER, solve_threshold

BATCH_SIZE = 16
"""Tiles per batch while a budget is set."""
MIN_STRENGTH = 1e-3
"""Strength of features below which values are not distinguished."""
MOMENTUM = 0.02
"""Weight of a batch in the running statistics."""


class Network(nn.Module, Adaptive):
    """A network with exits: (B,C,h,w) -> (B,C,s*h,s*w).

    A tile exits where its capacity first exceeds the threshold. The capacity is 1 - tanh of the remaining gain in dB
    that the regressor predicts: 0 for a large gain, 1 for none.
    """

    threshold: Tensor

    def __init__(self, network: nn.Module, regressor: Regressor, places: tuple[int, ...]):
        super().__init__()
        self.network, self.regressor = network, regressor
        self.places = places
        self.register_buffer("threshold", torch.tensor(NEVER))
        self._counted: dict[tuple[int, ...], Costs] = {}
        self._read: tuple[tuple[object, ...], float] | None = None

    def forward(self, lq: Tensor) -> Tensor:
        return cast(Tensor, self.network(lq))

    def states(self, lq: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield the state at each exit in turn; see `EarlyExit`."""
        state = self.inner.forward_stem(lq)
        for start, stop in pairwise((0, *self.places)):
            state = self._advance(state, start, stop)
            yield state

    @torch.no_grad()
    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        costs = self._costs(tiles)
        if self._threshold() >= NEVER:
            return self(tiles), torch.full((len(tiles),), costs.whole, dtype=torch.int64, device=tiles.device)
        rows = torch.arange(len(tiles), device=tiles.device)  # tiles that have not exited
        images, order, spent = [], [], []
        state = self.inner.forward_stem(tiles)
        for number, (start, stop) in enumerate(pairwise((0, *self.places))):
            state = self._advance(state, start, stop)
            last = number == len(self.places) - 1
            exiting = torch.arange(len(rows), device=rows.device) if last else self._exiting(state[0], number)
            if count := len(exiting):  # the length is known after one synchronisation, that of nonzero
                exited = rows.index_select(0, exiting)
                images.append(self.inner.forward_head(_select(state, exiting), tiles.index_select(0, exited)))
                order.append(exited)
                spent.append(torch.full_like(exited, costs.exits[number]))
            if count == len(rows):
                break
            if count:
                staying = _others(exiting, len(rows))
                state, rows = _select(state, staying), rows.index_select(0, staying)
        inverse = torch.cat(order).argsort()
        return torch.cat(images)[inverse], torch.cat(spent)[inverse]

    @torch.no_grad()
    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        """See `Adaptive`; gt is not used, since the regressor predicts the gain."""
        capacities = torch.cat([self._capacities(batch) for batch in lq.split(BATCH_SIZE)])  # (N, exits - 1)
        self.threshold.fill_(solve_threshold(share, capacities, self._costs(lq)))

    @property
    def inner(self) -> EarlyExit:
        """The wrapped network, which runs block by block."""
        return cast(EarlyExit, self.network)

    def _advance(self, state: tuple[Tensor, ...], start: int, stop: int) -> tuple[Tensor, ...]:
        for block in range(start, stop):
            state = self.inner.forward_block(state, block)
        return state

    def _exiting(self, features: Tensor, number: int) -> Tensor:
        """Return the numbers of the tiles that exit here, before the last exit."""
        return (capacity(self.regressor(features, number)) > self.threshold).nonzero()[:, 0]

    def _threshold(self) -> float:
        """Return the threshold, read back only after it was changed or moved."""
        state = (id(self.threshold), None if self.threshold.is_inference() else self.threshold._version)
        if self._read is None or self._read[0] != state:
            self._read = state, float(self.threshold)
        return self._read[1]

    def _capacities(self, lq: Tensor) -> Tensor:
        """Return (B, exits - 1)."""
        states = zip(self.states(lq), range(len(self.places) - 1), strict=False)
        return torch.stack([capacity(self.regressor(state[0], number)) for state, number in states], dim=1)

    def _costs(self, tiles: Tensor) -> Costs:
        shape = tuple(tiles.shape[1:])
        if shape not in self._counted:
            self._counted[shape] = counted(self.network, self.regressor, self.places, (1, *shape))
        return self._counted[shape]


class Regressor(nn.Module):
    """Predict the gain in dB from an exit to the end, per tile: features (B,F,h,w) -> (B,).

    All exits share it, except for an offset per exit. APE has one linear layer on the mean of each feature; in residual
    networks the strength of a feature is more informative, so it is an input, too.
    """

    def __init__(self, features: int, exits: int, hidden: int):
        super().__init__()
        self.standard = Standard(2 * features)
        self.judge = nn.Sequential(nn.Linear(2 * features, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.offsets = nn.Parameter(torch.zeros(exits - 1))

    def forward(self, features: Tensor, number: int = 0) -> Tensor:
        strength = features.abs().mean(dim=(2, 3)).add(MIN_STRENGTH).log()
        inputs = self.standard(torch.cat([features.mean(dim=(2, 3)), strength], dim=1))  # (B, 2F)
        return cast(Tensor, self.judge(inputs)).squeeze(1) + self.offsets[number]


class Standard(nn.Module):
    """Standardise (B,N) by running mean and deviation, which are updated in training by all processes alike.

    The strength of features differs a hundredfold between networks, and the regressor has few steps to adapt.
    """

    mean: Tensor
    square: Tensor

    def __init__(self, numbers: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("square", torch.ones(numbers))

    def forward(self, numbers: Tensor) -> Tensor:
        numbers = numbers.to(self.mean.dtype)  # half precision would lose the updates of the running mean
        if self.training:
            moments = torch.stack([numbers.detach().mean(dim=0), numbers.detach().square().mean(dim=0)])
            mean, square = mean_over_processes(moments)
            self.mean.lerp_(mean, MOMENTUM)
            self.square.lerp_(square, MOMENTUM)
        deviation = (self.square - self.mean.square()).clamp_min(MIN_STRENGTH**2).sqrt()
        return (numbers - self.mean) / deviation


def capacity(gain: Tensor) -> Tensor:
    """Return the capacity, as APE defines it, for a gain in dB: from 0 for a large gain to 2 for a large loss."""
    return 1 - gain.tanh()


def add_exits(network: nn.Module, places: tuple[int, ...], hidden: int, min_shape: Sequence[int]) -> Network:
    """Return the network with exits; min_shape: shape (1,C,h,w) of the smallest valid input."""
    with torch.no_grad():
        features = cast(EarlyExit, network).forward_stem(torch.zeros(*min_shape))[0].shape[1]
    return Network(network, Regressor(features, len(places), hidden), places)


def _select(state: tuple[Tensor, ...], rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.index_select(0, rows) for tensor in state)


def _others(numbers: Tensor, count: int) -> Tensor:
    """Return the numbers below `count` that are not among the given ones, ascending; without a synchronisation."""
    missing = torch.zeros(count, dtype=torch.bool, device=numbers.device).index_fill_(0, numbers, True)
    return missing.to(torch.uint8).argsort(stable=True)[: count - len(numbers)]
