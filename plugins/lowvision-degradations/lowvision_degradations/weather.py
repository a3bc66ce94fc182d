"""Tasks of things in front of a photograph: rain streaks, and small parts that are missing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from lowvision import Task
from lowvision_degradations.ranges import Range, Share, ascends

if TYPE_CHECKING:
    from torch import Generator, Tensor

Length = Annotated[float, Field(ge=1, le=200)]
Shares = Annotated[Share | tuple[Share, Share], AfterValidator(ascends)]


class Rain(Task):
    """Remove rain: bright streaks of similar direction in front of the photograph."""

    random: ClassVar[bool] = True

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    density: Annotated[float | tuple[float, float], AfterValidator(ascends)] = (1.0, 6.0)
    """Streaks per 1000 pixels; a pair is sampled uniformly."""
    length: Annotated[Length | tuple[Length, Length], AfterValidator(ascends)] = (6.0, 20.0)
    """Length of a streak in pixels; a pair is sampled per streak."""
    angle: Range = (-25.0, 25.0)
    """Direction in degrees, 0: downwards; a pair is sampled per image. Streaks differ from it by up to 3."""
    opacity: Shares = (0.3, 0.8)
    """Opacity of a streak; a pair is a range, sampled per streak."""

    @property
    def margin(self) -> int:  # type: ignore[override]  # a class variable in the contract
        """Length of the longest streak, which may begin outside of a tile."""
        return math.ceil(max(self.length) if isinstance(self.length, tuple) else self.length)

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the image behind rain, in [0,1], rounded to 8 bit."""
        from lowvision_degradations.drawing import streaks

        rain = streaks(self, gt.shape[1], gt.shape[2], generator).to(gt)  # (1,H,W)
        return (gt + (1 - gt) * rain).clamp(0, 1).mul(255).round().div(255)


class Inpainting(Task):
    """Fill small missing parts: scratches, dots and dead pixels, which are black in lq."""

    random: ClassVar[bool] = True

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    coverage: Shares = (0.02, 0.1)
    """Fraction of the pixels that are missing, about; a pair is sampled uniformly."""
    thickness: tuple[int, int] = (1, 4)
    """Range of the thickness of a scratch in pixels."""
    length: Annotated[Length | tuple[Length, Length], AfterValidator(ascends)] = (1.0, 24.0)
    """Length of a scratch in pixels; a pair is sampled per scratch."""

    @property
    def margin(self) -> int:  # type: ignore[override]  # a class variable in the contract
        """Length of the longest scratch, which may begin outside of a tile."""
        return math.ceil(max(self.length) if isinstance(self.length, tuple) else self.length)

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the image with black parts."""
        from lowvision_degradations.drawing import scratches

        return gt * (1 - scratches(self, gt.shape[1], gt.shape[2], generator).to(gt))
