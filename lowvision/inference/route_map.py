"""Draw the route map of an image: the branch of each tile as a colour over the image, with a legend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.imaging import io
from lowvision.imaging.palette import Colour, colours
from lowvision.routing.tiling import Tiling

TINT = 0.45
"""Opacity of the branch colour over the image."""
FADED = 0.65
"""Share of the image's own colour that is removed first, so that a blue sky does not look like a branch."""
PAPER: Colour = (24, 27, 33)
INK: Colour = (232, 234, 238)


def overlay(image: Tensor, choice: Tensor, tiling: Tiling, scale: int, branches: int) -> Tensor:
    """Tint an image (C,s*H,s*W), C 1 or 3, with one translucent colour per branch -> (3,s*H+legend,s*W) in [0,1].

    choice: (N,) the branch of each tile. tiling: the tiles, in pixels of the LQ image (C,H,W).
    The colour of a tile ends in the middle of its overlaps. The legend below the image lists the share of tiles per
    branch; an image that is narrower than an entry of the legend gets a margin on its right.
    """
    image = image.detach().cpu().float().clamp(0, 1)
    pixels = _branch_of_pixels(choice, tiling, scale)  # (s*H, s*W)
    tints = torch.tensor(colours(branches)).float() / 255  # (M, 3)
    grey = image.mean(dim=0, keepdim=True)
    faded = image + FADED * (grey - image)  # (C, s*H, s*W)
    tinted = faded + TINT * (tints[pixels].permute(2, 0, 1) - faded)  # (3, s*H, s*W)

    entries = [f"branch {k}  {share:.0%}" for k, share in enumerate(_shares(choice, branches))]
    strip = io.to_tensor(_legend(entries, colours(branches), tinted.shape[2]))
    margin = strip.new_tensor(PAPER)[:, None, None] / 255
    page = margin.repeat(1, tinted.shape[1] + strip.shape[1], strip.shape[2])  # (3, s*H+legend, W)
    page[:, : tinted.shape[1], : tinted.shape[2]] = tinted
    page[:, tinted.shape[1] :] = strip
    return page


def _shares(choice: Tensor, branches: int) -> list[float]:
    return (torch.bincount(choice, minlength=branches) / len(choice)).tolist()


def _branch_of_pixels(choice: Tensor, tiling: Tiling, scale: int) -> Tensor:
    """Return the branch of every pixel, (s*H,s*W)."""
    grid: Tensor = choice.detach().cpu().long().unflatten(0, (len(tiling.tops), len(tiling.lefts)))
    rows = torch.tensor(_extents(tiling.tops, tiling.size, scale, tiling.height))
    columns = torch.tensor(_extents(tiling.lefts, tiling.size, scale, tiling.width))
    return grid.repeat_interleave(rows, dim=0).repeat_interleave(columns, dim=1)


def _extents(starts: Sequence[int], size: int, scale: int, length: int) -> list[int]:
    """List the pixels of an axis per tile; neighbours meet in the middle of their overlap."""
    seams = [scale * (start + size + following) // 2 for start, following in pairwise(starts)]
    borders = [0, *seams, scale * length]
    return [end - begin for begin, end in pairwise(borders)]


def _legend(entries: Sequence[str], tints: Sequence[Colour], width: int) -> NDArray[np.uint8]:
    """Draw a strip (h,>=width,3) with a patch of colour next to each entry, on as many lines as needed."""
    letter = max(13, min(width // 45, 48))  # readable even if a large map is scaled down to a page
    line, gap = 2 * letter, 2 * letter
    lengths = [letter + letter // 2 + io.text_width(entry, letter) for entry in entries]
    columns = max(1, (width - letter + gap) // (max(lengths) + gap))
    lines = -(-len(entries) // columns)
    strip = np.empty((lines * line + letter // 2, max(width, max(lengths) + 2 * letter), 3), np.uint8)
    strip[:] = PAPER
    for k, (entry, tint) in enumerate(zip(entries, tints, strict=True)):
        row, column = divmod(k, columns)
        left = letter + column * (max(lengths) + gap)
        top = letter // 4 + row * line + (line - letter) // 2
        strip[top : top + letter, left : left + letter] = tint
        io.draw_text(strip, entry, left + letter + letter // 2, top + letter - letter // 7, letter, INK)
    return strip
