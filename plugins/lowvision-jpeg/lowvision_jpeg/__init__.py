"""JPEG artifact removal: the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from lowvision import Task, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

Quality = Annotated[int, Field(ge=1, le=100)]
"""libjpeg's quality, 1 .. 100."""
UNIT = 16
"""Pixels of the largest unit that JPEG codes by itself: two blocks of 8, where the colour is halved."""


class Deblocking(Task):
    """Undo JPEG: photographs are really written and read again by libjpeg.

    One quality is applied to whole photographs, once. From a pair, a quality is drawn for every tile, and with it where
    the grid of blocks lies, so that a network meets it in every place.
    """

    scale: Literal[1] = 1
    """The size stays."""
    quality: Quality | tuple[Quality, Quality] = 10
    """libjpeg's quality, 1 .. 100; a pair: drawn uniformly between the two, anew for every tile."""
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = "4:2:0"
    """How colour is stored: whole, half as wide, or half as wide and half as high; grey has none."""

    @field_validator("quality")
    @classmethod
    def _pair_ascends(cls, quality: int | tuple[int, int]) -> int | tuple[int, int]:
        if isinstance(quality, tuple) and quality[0] > quality[1]:
            raise ValueError(f"quality {list(quality)} must go from the worse quality to the better")
        return quality

    @property
    def random(self) -> bool:  # type: ignore[override]  # the contract's class variable, which follows from an option here
        """Whether the degradation is drawn anew for every tile."""
        return isinstance(self.quality, tuple)

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """What is read from the file, in [0,1] and of 8 bit. Raises DataError where gt is too large for JPEG."""
        from lowvision_jpeg.coding import coded

        if not isinstance(self.quality, tuple):
            return coded(gt, self.quality, self.subsampling)
        import torch

        worst, best = self.quality
        quality = int(torch.randint(worst, best + 1, (), generator=generator))
        top, left = torch.randint(UNIT, (2,), generator=generator).tolist()
        return coded(gt, quality, self.subsampling, top, left)

    def baseline(self, lq: Tensor) -> Tensor:
        """The image with its artifacts."""
        return lq


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {"jpeg": Deblocking}
