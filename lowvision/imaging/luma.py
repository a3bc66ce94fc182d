"""BT.601 luma, in full range for grey images and in studio range for metrics."""

from __future__ import annotations

import torch
from torch import Tensor

FULL_RANGE = (0.299, 0.587, 0.114)
"""Luma in [0,1] of R, G and B in [0,1] (ITU-R BT.601)."""
STUDIO_RANGE = (65.481, 128.553, 24.966)
"""Luma in 16..235, less 16, of R, G and B in [0,1] (ITU-R BT.601, as MATLAB's rgb2ycbcr)."""


def grey(rgb: Tensor) -> Tensor:
    """Return the full-range luma of an image: (3,H,W) -> (1,H,W)."""
    return torch.einsum("c,chw->hw", rgb.new_tensor(FULL_RANGE), rgb)[None]


def studio_luma(rgb: Tensor) -> Tensor:
    """Return the studio-range luma, in 16..235, of an image in [0,1]: (3,H,W) -> (H,W)."""
    red, green, blue = rgb
    return 16 + STUDIO_RANGE[0] * red + STUDIO_RANGE[1] * green + STUDIO_RANGE[2] * blue
