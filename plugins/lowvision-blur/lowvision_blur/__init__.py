"""The task deblurring, for Gaussian or defocus blur."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from lowvision import Task, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

Radius = Annotated[float, Field(gt=0, le=50)]
"""Radius in pixels."""


class Deblurring(Task):
    """Undo an isotropic, uniform blur.

    A single radius is applied to whole photographs, once. With a pair, a radius is sampled per tile, and edge pixels
    of the tile are replicated.
    """

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    kernel: Literal["gaussian", "disc"] = "gaussian"
    """Point spread function: Gaussian, or the disc of a lens out of focus."""
    radius: Radius | tuple[Radius, Radius] = 1.6
    """Standard deviation of the Gaussian or radius of the disc, in pixels; a pair [low, high] is sampled uniformly, per
    tile."""

    @field_validator("radius")
    @classmethod
    def _pair_ascends(cls, radius: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(radius, tuple) and radius[0] > radius[1]:
            raise ValueError(f"radius must ascend, e.g. [1, 3]; got {list(radius)}")
        return radius

    @property
    def random(self) -> bool:  # type: ignore[override]  # a class variable in the contract
        """True if the degradation is sampled per tile."""
        return isinstance(self.radius, tuple)

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the blurred image in [0,1], rounded to 8 bit if sampled; the caller rounds whole photographs."""
        from lowvision_blur.kernels import blurred

        if not isinstance(self.radius, tuple):
            return blurred(gt, self.kernel, self.radius)
        import torch

        low, high = self.radius
        radius = low + (high - low) * torch.rand((), generator=generator).item()
        # Training must not use detail that a file does not store.
        return blurred(gt, self.kernel, radius).mul(255).round().div(255)

    def baseline(self, lq: Tensor) -> Tensor:
        """Return the blurred image."""
        return lq


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {"blur": Deblurring}
