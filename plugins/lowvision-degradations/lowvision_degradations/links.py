"""Links of chains that are also tasks: resizing and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lowvision import Task
from lowvision_degradations.ranges import Range, Share, Strengths, drawn, picked, uniform

if TYPE_CHECKING:
    from torch import Generator, Tensor

Mode = Literal["antialiased", "area", "bilinear", "bicubic"]
"""An interpolation: MATLAB's antialiased bicubic, or one of PyTorch's, of which the last two alias."""
SMALLEST = 4
"""Least side in pixels of an image between two links."""


class Resize(Task):
    """Resize by a random factor, and back to the size of lq at the end of the chain."""

    random: ClassVar[bool] = True
    margin: ClassVar[int] = 8

    factor: Range = (0.5, 1.0)
    """Factor of the size; a pair [low, high] is sampled uniformly."""
    shares: tuple[Share, Share, Share] | None = None
    """Probabilities of shrinking (a factor of [low, 1]), enlarging ([1, high]) and keeping the size; null: uniform."""
    relative_to: Literal["image", "lq"] = "image"
    """The size that `factor` multiplies: that of the image, or that of lq."""
    modes: tuple[Mode, ...] = Field(default=("area", "bilinear", "bicubic"), min_length=1)
    """Interpolations, one of which is drawn per sample."""

    @model_validator(mode="after")
    def _has_both_sides(self) -> Self:
        low, high = self.factor if isinstance(self.factor, tuple) else (self.factor, self.factor)
        if low <= 0:
            raise ValueError(f"factor must be more than 0, e.g. [0.5, 1]; got {low}")
        if self.shares and not (low <= 1 <= high and any(self.shares)):
            raise ValueError("shares need a factor on both sides of 1, e.g. [0.5, 1.5], and one share of more than 0")
        return self

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the image resized, and resized again to the size of lq."""
        from lowvision_degradations.pixels import resized

        size = (gt.shape[1] // self.scale, gt.shape[2] // self.scale)
        return resized(self.link(gt, generator, size), size).clamp(0, 1)

    def link(self, image: Tensor, generator: Generator, size: tuple[int, int]) -> Tensor:
        """Return the image at its new size."""
        from lowvision_degradations.pixels import resized

        factor = self._factor(generator)
        mode = self.modes[picked((1.0,) * len(self.modes), generator)]
        height, width = image.shape[1:] if self.relative_to == "image" else size
        least = min(SMALLEST, *size)
        return resized(image, (max(round(height * factor), least), max(round(width * factor), least)), mode)

    def _factor(self, generator: Generator) -> float:
        if not self.shares or not isinstance(self.factor, tuple):
            return drawn(self.factor, generator)
        low, high = self.factor
        return drawn(((low, 1.0), (1.0, high), 1.0)[picked(self.shares, generator)], generator)


class Noise(Task):
    """Add Gaussian or photon noise, of all colours or grey."""

    random: ClassVar[bool] = True

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    gaussian: Strengths = (1.0, 30.0)
    """Standard deviation of Gaussian noise in units of 8-bit images; a pair is sampled uniformly."""
    poisson: Strengths = (0.05, 3.0)
    """Strength of photon noise; 1: that of 256 photons at white. A pair is sampled uniformly."""
    poisson_share: Share = 0.5
    """Probability of photon noise instead of Gaussian noise."""
    grey_share: Share = 0.4
    """Probability that the noise is equal in all colours."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the noisy image in [0,1]."""
        from lowvision_degradations.pixels import with_gaussian, with_poisson

        grey = uniform(generator) < self.grey_share
        if uniform(generator) < self.poisson_share:
            return with_poisson(gt, drawn(self.poisson, generator), grey, generator).clamp(0, 1)
        return with_gaussian(gt, drawn(self.gaussian, generator), grey, generator).clamp(0, 1)
