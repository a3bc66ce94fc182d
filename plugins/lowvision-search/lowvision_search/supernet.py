"""The network that is searched: every block with all its kernels, at all its widths, and the way around it at once.

Alternatives are mixed before they are convolved, for convolution is linear: a 1x1 kernel is added into the middle of a
3x3 one, and a closed channel is a row of zeros. So the whole costs a step of training no more than its largest member.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision import Skip
from lowvision.layers import Mean, add_skip, faint, kaiming, look_for_detail, weaken
from lowvision_search import QUARTERS, Kernels
from lowvision_search.gates import Gate, Width

KEPT: tuple[Kernels, ...] = ((1, 1), (1, 3), (3, 1), (3, 3))
"""Kernels of the two convolutions of a block that is kept; the last alternative of its gate is to leave it out."""
MILLION = 1_000_000


@dataclass(frozen=True)
class State:
    """How open everything between the blocks is."""

    closed: Tensor
    """() from 0 to 1."""
    opened: Tensor
    """(channels,) of the features between the blocks."""
    width: Tensor
    """() how many of them are expected."""


class Network(nn.Module):
    """(B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    closed: Tensor

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.colours, self.scale, self.skip = colours, scale, skip
        self.mean = Mean(colours)
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.width = Width(channels, QUARTERS)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(layers))
        self.last = nn.Conv2d(channels, colours * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        # Millionths: a moving average of weights mixes floating-point buffers, and would never get to the end.
        self.register_buffer("closed", torch.zeros((), dtype=torch.int64))
        self._initialise()

    def _initialise(self) -> None:
        kaiming(self)
        for block in self.searchable():
            for part in (block.end.square, block.end.point):
                weaken(part)
        faint(self.last)
        if self.skip != "none":
            look_for_detail(self.head)

    def close(self, share: float) -> None:
        """Ask gates for that share of the largest radius: from 0, as the logits are, to 1, one-hot."""
        self.closed.fill_(round(share * MILLION))

    def searchable(self) -> list[Block]:
        """Its blocks."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def state(self) -> State:
        """How open everything is between the blocks."""
        closed = self.closed.float() / MILLION
        opened, width = self.width(closed)
        return State(closed, opened, width)

    def forward(self, lq: Tensor) -> Tensor:
        lq = self.mean.take(lq)
        state = self.state()
        features = self.head(lq) * state.opened.to(lq.dtype)[:, None, None]  # (B, channels, h, w)
        for block in self.searchable():
            features = features + block(features, state)
        image = self.shuffle(self.last(features))  # (B, colours, h*scale, w*scale)
        return self.mean.give(add_skip(image, lq, self.scale, self.skip))

    def expected_cost(self) -> Tensor:
        """() multiply-adds for an LQ pixel that the gates lead to expect, were each drawn by its probabilities.

        Gates are independent, so that a product of widths has the product of their expectations. Where all are
        one-hot it is the exact cost of what was found.
        """
        state = self.state()
        return self._ends() * state.width + state.width * torch.stack([b.price(state) for b in self.searchable()]).sum()

    def full_cost(self) -> int:
        """Multiply-adds for an LQ pixel of all blocks with 3x3 kernels at full width."""
        channels = self.head.out_channels
        return channels * (self._ends() + len(self.blocks) * channels * 2 * 9)

    def _ends(self) -> int:
        """Multiply-adds of the first and last convolution, for an LQ pixel and a channel."""
        return 9 * self.colours + 9 * self.colours * self.scale**2


class Block(nn.Module):
    """What a residual block adds to its input."""

    def __init__(self, channels: int):
        super().__init__()
        self.gate = Gate(len(KEPT) + 1)
        self.width = Width(channels, QUARTERS)
        self.start = Mixed(channels)
        self.end = Mixed(channels)

    def forward(self, features: Tensor, state: State) -> Tensor:
        p = self.gate(state.closed)
        opened, _ = self.width(state.closed)
        kept = 1 - p[-1]
        # Of the kernels of a block that is kept; of one that is not, nothing arrives.
        shares = torch.stack([sum_where(p, place) for place in (0, 1)]) / kept.clamp_min(1e-6)  # (2,) of 3x3
        inner = functional.relu(self.start(features, shares[0], opened))  # (B, channels, h, w)
        return self.end(inner, shares[1], kept * state.opened)

    def price(self, state: State) -> Tensor:
        """() expected multiply-adds for an LQ pixel and a channel of the features between the blocks."""
        areas = torch.tensor([a**2 + b**2 for a, b in KEPT], device=state.width.device)
        _, width = self.width(state.closed)
        return width * (self.gate(state.closed)[:-1] * areas).sum()


def sum_where(p: Tensor, place: int) -> Tensor:
    """() the probability of all alternatives whose kernel at that place is 3x3."""
    return torch.stack([p[n] for n, kernels in enumerate(KEPT) if kernels[place] == 3]).sum()


class Mixed(nn.Module):
    """A 3x3 and a 1x1 convolution with one bias, mixed into one."""

    def __init__(self, channels: int):
        super().__init__()
        self.square = nn.Conv2d(channels, channels, 3, padding=1)
        self.point = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, features: Tensor, share: Tensor, opened: Tensor) -> Tensor:
        """(B,channels,h,w) -> as much. share: () of the 3x3 kernel; opened: (channels,) of what is made."""
        kernel = share * self.square.weight + functional.pad((1 - share) * self.point.weight, (1, 1, 1, 1))
        assert self.square.bias is not None
        weight, bias = kernel * opened[:, None, None, None], self.square.bias * opened
        return functional.conv2d(features, weight.to(features.dtype), bias.to(features.dtype), padding=1)
