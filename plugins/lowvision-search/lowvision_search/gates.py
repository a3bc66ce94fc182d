"""Gates of a supernet: probabilities of a few alternatives, which become sparser during training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lowvision_search import QUARTERS, Kernels
from lowvision_search.sparsestmax import largest_radius, sparsestmax

KEPT: tuple[Kernels, ...] = ((1, 1), (1, 3), (3, 1), (3, 3))
"""Kernels of the two convolutions of a block that is kept; the last alternative of a block is to skip it."""
ALTERNATIVES = len(KEPT) + 1
UNDECIDED = 1e-3
"""Standard deviation of the initial logits: equal logits would give the radius no direction."""
STAGGER = 4
"""Duration of closing all blocks, in durations of closing one. If all closed at once, logits would lose their gradient
together before they are one-hot, and the final cost would be far from the expected one; staggered, the open blocks
compensate for the closed ones."""
MILLION = 1_000_000


@dataclass(frozen=True)
class Opening:
    """Gate values of channels, blocks and kernels."""

    channels: Tensor
    """(1 + layers, C) gates of the features between blocks, and of those inside each block.

    A channel's gate is the probability of the widths that include it; it decreases from the first to the last.
    """
    widths: Tensor
    """(1 + layers,) expected number of these channels."""
    kept: Tensor
    """(layers,) probability that a block is kept."""
    square: Tensor
    """(layers, 2) probability of a 3x3 kernel in the two convolutions of a kept block."""
    areas: Tensor
    """(layers,) expected kernel elements of both convolutions, per pair of channels; 0 for a skipped block."""


class Gates(nn.Module):
    """The alternatives of all blocks and widths."""

    closed: Tensor
    is_square: Tensor
    area: Tensor

    def __init__(self, channels: int, layers: int):
        super().__init__()
        self.part = channels // QUARTERS
        # Vectors, because optimizers exclude these from weight decay.
        self.widths = nn.Parameter(UNDECIDED * torch.randn((1 + layers) * QUARTERS))
        self.paths = nn.Parameter(UNDECIDED * torch.randn(layers * ALTERNATIVES))
        # Integer millionths: a moving average of weights mixes floating-point buffers and would never reach the end.
        self.register_buffer("closed", torch.zeros((), dtype=torch.int64))
        square = torch.tensor([[kernel == 3 for kernel in kernels] for kernels in KEPT])
        self.register_buffer("is_square", square, persistent=False)  # (kept alternatives, 2)
        area = torch.tensor([sum(kernel**2 for kernel in kernels) for kernels in KEPT])
        self.register_buffer("area", area, persistent=False)  # (kept alternatives,)

    def close(self, share: float) -> None:
        """Set the progress of closing: from 0 (sparsemax of the logits) to 1 (one-hot)."""
        self.closed.fill_(round(share * MILLION))

    def forward(self) -> Opening:
        """Return the gate values in float32."""
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
        """Return the channels between and inside blocks, and each block's kernels, None for a skipped block.

        Raises ValueError if several alternatives are still open.
        """
        widths, paths = self._probabilities()
        if min(widths.amax(dim=1).min(), paths.amax(dim=1).min()) < 1:
            raise ValueError("its search is not finished; convert the weights of the last step of its stage")
        kernels = [KEPT[n] if n < len(KEPT) else None for n in paths.argmax(dim=1).tolist()]
        return [self.part * (1 + n) for n in widths.argmax(dim=1).tolist()], kernels

    def _probabilities(self) -> tuple[Tensor, Tensor]:
        """Return (1 + layers, QUARTERS) of widths and (layers, ALTERNATIVES) of paths; each row sums to 1."""
        widths, paths = self.widths.float().view(-1, QUARTERS), self.paths.float().view(-1, ALTERNATIVES)
        blocks = self._closing(len(paths))[:, None]  # (layers, 1)
        everywhere = torch.cat([blocks[:1], blocks])  # (1 + layers, 1) the features between the blocks are the first
        return (
            sparsestmax(widths, everywhere * largest_radius(QUARTERS)),
            sparsestmax(paths, blocks * largest_radius(ALTERNATIVES)),
        )

    def _closing(self, layers: int) -> Tensor:
        """Return the progress of closing of each block, (layers,): starts are staggered, each takes 1/STAGGER."""
        progress = self.closed.float() / MILLION
        later = torch.linspace(0, STAGGER - 1, layers, device=progress.device)
        return (STAGGER * progress - later).clamp(0, 1)
