"""Parts of features that a convolution brings together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Joined(nn.Module):
    """The convolution of concatenated parts, as a sum of one for each part; the first has the bias, if any.

    Slices of a smaller network can then be taken part by part, which a concatenation does not tell apart.
    """

    def __init__(self, widths: Sequence[int], out: int, kernel: int = 1, bias: bool = True):
        super().__init__()
        self.parts = nn.ModuleList(
            nn.Conv2d(width, out, kernel, padding=kernel // 2, bias=bias and n == 0) for n, width in enumerate(widths)
        )

    def share_variance(self) -> None:
        """Make what was initialised as so many convolutions one of so many times the inputs."""
        with torch.no_grad():
            for part in self.convolutions():
                part.weight.div_(len(self.parts) ** 0.5)

    def convolutions(self) -> list[nn.Conv2d]:
        """One for each part."""
        return [part for part in self.parts if isinstance(part, nn.Conv2d)]

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        first, *others = (convolution(part) for convolution, part in zip(self.parts, parts, strict=True))
        return sum(others, first)
