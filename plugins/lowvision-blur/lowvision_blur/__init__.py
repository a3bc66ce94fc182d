"""Removal of blur, Gaussian or from defocus: the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from lowvision import Task, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

Radius = Annotated[float, Field(gt=0, le=50)]
"""In pixels."""


class Deblurring(Task):
    """Undo a blur that is the same in every direction and at every place.

    One radius is applied to whole photographs, once. From a pair, a radius is drawn for every tile; beyond the tile's
    edge its last pixels go on then, in place of the photograph.
    """

    scale: Literal[1] = 1
    """The size stays."""
    kernel: Literal["gaussian", "disc"] = "gaussian"
    """What a point becomes: a bell, or the disc that a lens out of focus makes."""
    radius: Radius | tuple[Radius, Radius] = 1.6
    """Pixels: the standard deviation of the bell, or the radius of the disc; a pair: drawn uniformly between the two,
    anew for every tile."""

    @field_validator("radius")
    @classmethod
    def _pair_ascends(cls, radius: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(radius, tuple) and radius[0] > radius[1]:
            raise ValueError(f"radius {list(radius)} must go from the weaker blur to the stronger")
        return radius

    @property
    def random(self) -> bool:  # type: ignore[override]  # the contract's class variable, which follows from an option here
        """Whether the degradation is drawn anew for every tile."""
        return isinstance(self.radius, tuple)

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """The blurred image in [0,1], rounded to 8 bit where it is drawn; whole photographs are rounded like files."""
        from lowvision_blur.kernels import blurred

        if not isinstance(self.radius, tuple):
            return blurred(gt, self.kernel, self.radius)
        import torch

        weakest, strongest = self.radius
        radius = weakest + (strongest - weakest) * torch.rand((), generator=generator).item()
        # What no file keeps must not be learned from.
        return blurred(gt, self.kernel, radius).mul(255).round().div(255)

    def baseline(self, lq: Tensor) -> Tensor:
        """The blurred image."""
        return lq


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {"blur": Deblurring}
