"""The task deblurring, for Gaussian, defocus, ringing or motion blur."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from lowvision import Task, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from lowvision_blur.kernels import Shape

TRUNCATION = 4
"""Standard deviations at which a Gaussian is cut off; 6e-5 of its mass lie beyond."""


def _ascends(value: Any) -> Any:
    if isinstance(value, tuple) and value[0] > value[1]:
        raise ValueError(f"must ascend, e.g. [1, 3]; got {list(value)}")
    return value


def _odd(value: Any) -> Any:
    sizes = value if isinstance(value, tuple) else (value,)
    if any(size % 2 == 0 for size in sizes if isinstance(size, int)):
        raise ValueError(f"sides of kernels must be odd, e.g. [7, 21]; got {list(sizes)}")
    return value


Radius = Annotated[float, Field(gt=0, le=50)]
"""Radius in pixels."""
Radii = Annotated[Radius | tuple[Radius, Radius], AfterValidator(_ascends)]
"""A radius, or a pair [low, high] that is sampled uniformly, per tile."""
Exponent = Annotated[float, Field(gt=0, le=8)]
Side = Annotated[int, Field(ge=3, le=201)]
"""Side of a kernel in pixels."""
Sides = Annotated[Side | tuple[Side, Side], AfterValidator(_odd), AfterValidator(_ascends)]
Cutoff = Annotated[float, Field(gt=0, le=math.pi)]
"""A frequency in radians per pixel."""
Length = Annotated[float, Field(ge=1, le=100)]
"""Length of a motion in pixels."""


class _Blur(Task):
    """Members that all blurs share."""

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""

    @abstractmethod
    def drawn_kernel(self, generator: Generator) -> Tensor:
        """Return the kernel (K,K) of an image, in float64."""

    def finished(self, blurred: Tensor) -> Tensor:
        """Return images after the filter in [0,1]."""
        return blurred.clamp(0, 1)

    def link_batch(
        self, images: Sequence[Tensor], generators: Sequence[Generator], size: tuple[int, int]
    ) -> list[Tensor]:
        """Return the blurred images; on an accelerator those of one size are filtered together."""
        if not self.random or images[0].device.type == "cpu":
            return super().link_batch(images, generators, size)
        return self.together(images, generators)

    def together(self, images: Sequence[Tensor], generators: Sequence[Generator]) -> list[Tensor]:
        """Return the blurred images; those of one size are filtered in one pass."""
        import torch

        from lowvision_blur import kernels

        own, results = [self.drawn_kernel(generator) for generator in generators], list(images)
        for shape in {image.shape for image in images}:
            group = [n for n, image in enumerate(images) if image.shape == shape]
            filtered = kernels.filtered_batch(torch.stack([images[n] for n in group]), [own[n] for n in group])
            for n, result in zip(group, self.finished(filtered), strict=True):
                results[n] = result
        return results


class Deblurring(_Blur):
    """Undo a uniform blur, equal in all directions or stretched in one.

    A single radius is applied to whole photographs, once. With a pair, a radius is sampled per tile.
    """

    kernel: Literal["gaussian", "disc", "generalized", "plateau"] = "gaussian"
    """Point spread function: Gaussian; the disc of a lens out of focus; exp(-d^(2 shape) / 2); or
    1 / (1 + d^(2 shape))."""
    radius: Radii = 1.6
    """Standard deviation of the Gaussian or radius of the disc, in pixels; a pair [low, high] is sampled uniformly, per
    tile."""
    anisotropic: bool = False
    """Sample the radius of the second axis too, and the direction of the axes; `radius` must be a pair."""
    shape: Annotated[Exponent | tuple[Exponent, Exponent], AfterValidator(_ascends)] = 1.0
    """Exponent of `generalized` and `plateau`; of a pair, values below and above 1 are equally likely."""
    size: Sides | None = None
    """Side of the kernel, odd; a pair is sampled per tile. Null: 4 radii to each side."""

    @model_validator(mode="after")
    def _fits(self) -> Deblurring:
        if self.anisotropic and (self.kernel == "disc" or not isinstance(self.radius, tuple)):
            raise ValueError("anisotropic needs a pair of radii, and another kernel than `disc`")
        if not self.random and (isinstance(self.shape, tuple) or isinstance(self.size, tuple)):
            raise ValueError("a pair of shapes or sizes needs a pair of radii, e.g. radius: [1.6, 1.6]")
        return self

    @property
    def random(self) -> bool:  # type: ignore[override]  # a class variable in the contract
        """True if the degradation is sampled per tile."""
        return isinstance(self.radius, tuple)

    @property
    def margin(self) -> int:  # type: ignore[override]  # a class variable in the contract
        """Largest radius of the kernel if it is sampled per tile."""
        if not isinstance(self.radius, tuple):
            return 0
        if self.size is not None:
            return (self.size[1] if isinstance(self.size, tuple) else self.size) // 2
        return math.ceil((1 if self.kernel == "disc" else TRUNCATION) * self.radius[1])

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the blurred image in [0,1], rounded to 8 bit if sampled; the caller rounds whole photographs."""
        from lowvision_blur import kernels

        if not self.random and self.kernel in ("gaussian", "disc") and self.size is None:
            return kernels.blurred(gt, self.kernel, self._sampled(generator).radius)
        return self.finished(kernels.filtered(gt, self.drawn_kernel(generator)))

    def drawn_kernel(self, generator: Generator) -> Tensor:
        from lowvision_blur import kernels

        return kernels.of_shape(self._sampled(generator))

    def finished(self, blurred: Tensor) -> Tensor:
        # Training must not use detail that a file does not store.
        within = blurred.clamp(0, 1)
        return within.mul(255).round().div(255) if self.random else within

    def _sampled(self, generator: Generator) -> Shape:
        from lowvision_blur.kernels import Shape, sampled, sampled_odd

        radius = sampled(self.radius, generator)
        second, angle = radius, 0.0
        if self.anisotropic:
            second, angle = sampled(self.radius, generator), sampled((0.0, math.pi), generator)
        exponent = self.shape
        if isinstance(exponent, tuple) and exponent[0] < 1 < exponent[1]:
            below = sampled((0.0, 1.0), generator) < 0.5
            exponent = (exponent[0], 1.0) if below else (1.0, exponent[1])
        size = None if self.size is None else sampled_odd(self.size, generator)
        return Shape(self.kernel, radius, second, angle, sampled(exponent, generator), size)


class Sinc(_Blur):
    """Undo an ideal low-pass filter of circular frequencies, which leaves ringing and overshoot at edges."""

    cutoff: Annotated[Cutoff | tuple[Cutoff, Cutoff], AfterValidator(_ascends)] = (math.pi / 4, math.pi)
    """Cut-off frequency in radians per pixel; a pair is sampled per tile."""
    size: Sides = (7, 21)
    """Side of the kernel, odd; a pair is sampled per tile."""

    @property
    def random(self) -> bool:  # type: ignore[override]  # a class variable in the contract
        """True if the degradation is sampled per tile."""
        return isinstance(self.cutoff, tuple) or isinstance(self.size, tuple)

    @property
    def margin(self) -> int:  # type: ignore[override]  # a class variable in the contract
        """Largest radius of the kernel."""
        return (self.size[1] if isinstance(self.size, tuple) else self.size) // 2

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the filtered image in [0,1]."""
        from lowvision_blur import kernels

        return self.finished(kernels.filtered(gt, self.drawn_kernel(generator)))

    def drawn_kernel(self, generator: Generator) -> Tensor:
        from lowvision_blur import kernels

        return kernels.sinc(kernels.sampled(self.cutoff, generator), kernels.sampled_odd(self.size, generator))


class MotionBlur(_Blur):
    """Undo the blur of a camera that moves straight while the shutter is open; length and direction vary per tile."""

    length: Annotated[Length | tuple[Length, Length], AfterValidator(_ascends)] = (4.0, 16.0)
    """Length of the motion in pixels; a pair is sampled per tile."""
    angle: float | tuple[float, float] = (0.0, 180.0)
    """Direction in degrees, 0: horizontal; a pair is sampled per tile."""

    @property
    def random(self) -> bool:  # type: ignore[override]  # a class variable in the contract
        """True if the degradation is sampled per tile."""
        return isinstance(self.length, tuple) or isinstance(self.angle, tuple)

    @property
    def margin(self) -> int:  # type: ignore[override]  # a class variable in the contract
        """Half the largest length."""
        longest = self.length[1] if isinstance(self.length, tuple) else self.length
        return math.ceil(longest / 2) + 1

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the blurred image in [0,1]."""
        from lowvision_blur import kernels

        return self.finished(kernels.filtered(gt, self.drawn_kernel(generator)))

    def drawn_kernel(self, generator: Generator) -> Tensor:
        from lowvision_blur import kernels

        length, angle = kernels.sampled(self.length, generator), kernels.sampled(self.angle, generator)
        return kernels.line(length, math.radians(angle))


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {"blur": Deblurring, "sinc": Sinc, "motion_blur": MotionBlur}
