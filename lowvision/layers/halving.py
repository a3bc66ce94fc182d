"""How feature maps of any size are halved inside a network."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def halved(features: Tensor) -> Tensor:
    """(B,C,h,w) -> (B,C,ceil(h/2),ceil(w/2)), means of 2x2; the last row or column of an odd size is its own mean."""
    # Where a side is even, the replicated line is left over, and pooling drops it.
    return functional.avg_pool2d(functional.pad(features, (0, 1, 0, 1), mode="replicate"), 2)
