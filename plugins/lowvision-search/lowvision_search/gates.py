"""Gates: what a supernet has not decided yet, as probabilities of a few alternatives that training makes sparser."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lowvision_search import QUARTERS, Kernels
from lowvision_search.sparsestmax import largest_radius, sparsestmax

KEPT: tuple[Kernels, ...] = ((1, 1), (1, 3), (3, 1), (3, 3))
"""Kernels of the two convolutions of a block that is kept; the last alternative of a block is to be left out."""
ALTERNATIVES = len(KEPT) + 1
UNDECIDED = 1e-3
"""Standard deviation of the logits at the start: they must differ, else a radius would not say where to go."""
STAGGER = 4
"""How many times as long all blocks take to close as one does. Where all close at once, logits lose their gradient
together before they are one-hot, and the cost of what is left is far from the expected one; so the blocks that are
still open make up for those that are closed."""
MILLION = 1_000_000


@dataclass(frozen=True)
class Opening:
    """How open everything is."""

    channels: Tensor
    """(1 + layers, C) of the features between the blocks, and of those inside each.

    A channel is as open as the widths that have it are probable: it falls from the first to the last.
    """
    widths: Tensor
    """(1 + layers,) how many of these channels are expected."""
    kept: Tensor
    """(layers,) how probable it is that a block is not left out."""
    square: Tensor
    """(layers, 2) the share of 3x3 kernels, of the two convolutions of a block that is kept."""
    areas: Tensor
    """(layers,) expected numbers in the kernels of both, for a pair of channels; of a block left out 0."""


class Gates(nn.Module):
    """The alternatives of all blocks and widths."""

    closed: Tensor
    is_square: Tensor
    area: Tensor

    def __init__(self, channels: int, layers: int):
        super().__init__()
        self.part = channels // QUARTERS
        # Vectors, for optimizers let those alone when weights decay.
        self.widths = nn.Parameter(UNDECIDED * torch.randn((1 + layers) * QUARTERS))
        self.paths = nn.Parameter(UNDECIDED * torch.randn(layers * ALTERNATIVES))
        # Millionths: a moving average of weights mixes floating-point buffers, and would never get to the end.
        self.register_buffer("closed", torch.zeros((), dtype=torch.int64))
        square = torch.tensor([[kernel == 3 for kernel in kernels] for kernels in KEPT])
        self.register_buffer("is_square", square, persistent=False)  # (kept alternatives, 2)
        area = torch.tensor([sum(kernel**2 for kernel in kernels) for kernels in KEPT])
        self.register_buffer("area", area, persistent=False)  # (kept alternatives,)

    def close(self, share: float) -> None:
        """Set how far closing has come: from 0, where all is as sparse as its logits, to 1, where all is one-hot."""
        self.closed.fill_(round(share * MILLION))

    def forward(self) -> Opening:
        """How open everything is, in float32."""
        widths, paths = self._probabilities()
        opened = widths.flip(1).cumsum(1).flip(1)  # (1 + layers, QUARTERS)
        kept = paths[:, :-1].sum(dim=1)
        square = (paths[:, :-1, None] * self.is_square).sum(dim=1) / kept.clamp_min(1e-6)[:, None]
        return Opening(
            channels=opened.repeat_interleave(self.part, dim=1),
            widths=self.part * opened.sum(dim=1),
            kept=kept,
            square=square,
            areas=(paths[:, :-1] * self.area).sum(dim=1),
        )

    def decided(self) -> tuple[list[int], list[Kernels | None]]:
        """The channels between the blocks and inside each, and each block's kernels, None where it is left out.

        Raises ValueError where several alternatives are still open.
        """
        widths, paths = self._probabilities()
        if min(widths.amax(dim=1).min(), paths.amax(dim=1).min()) < 1:
            raise ValueError("its search is not at its end; convert what the last step of its stage left")
        left = [KEPT[n] if n < len(KEPT) else None for n in paths.argmax(dim=1).tolist()]
        return [self.part * (1 + n) for n in widths.argmax(dim=1).tolist()], left

    def _probabilities(self) -> tuple[Tensor, Tensor]:
        """(1 + layers, QUARTERS) of widths, (layers, ALTERNATIVES) of paths; each row sums to 1."""
        widths, paths = self.widths.float().view(-1, QUARTERS), self.paths.float().view(-1, ALTERNATIVES)
        blocks = self._closing(len(paths))[:, None]  # (layers, 1)
        everywhere = torch.cat([blocks[:1], blocks])  # (1 + layers, 1) the features between the blocks are the first
        return (
            sparsestmax(widths, everywhere * largest_radius(QUARTERS)),
            sparsestmax(paths, blocks * largest_radius(ALTERNATIVES)),
        )

    def _closing(self, layers: int) -> Tensor:
        """(layers,) how closed each block is, from 0 to 1: each in 1/STAGGER of the time, evenly after one another."""
        progress = self.closed.float() / MILLION
        later = torch.linspace(0, STAGGER - 1, layers, device=progress.device)
        return (STAGGER * progress - later).clamp(0, 1)
