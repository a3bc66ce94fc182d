"""Tasks of cameras: too little light, and the noise of sensors. Noise is added to linear light, as sensors do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from lowvision import Task
from lowvision_degradations.ranges import ascends, drawn

if TYPE_CHECKING:
    from torch import Generator, Tensor

GAMMA = 2.2
"""Exponent between pixel values and linear light."""
Exposure = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Positives = Annotated[Positive | tuple[Positive, Positive], AfterValidator(ascends)]


class LowLight(Task):
    """Undo underexposure: brighten a photograph, and remove the noise of its few photons."""

    random: ClassVar[bool] = True

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    exposure: Annotated[Exposure | tuple[Exposure, Exposure], AfterValidator(ascends)] = (0.05, 0.25)
    """Fraction of the light that reaches the sensor; a pair is sampled uniformly."""
    photons: Positives = (1000.0, 4000.0)
    """Photons of a white pixel at full exposure; a pair is sampled uniformly. Fewer photons are noisier."""
    read_noise: Annotated[float, Field(ge=0)] = 2.0
    """Standard deviation of the noise of reading the sensor, in photons."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the dark, noisy image in [0,1], rounded to 8 bit."""
        from lowvision_degradations.pixels import exposed

        exposure, photons = drawn(self.exposure, generator), drawn(self.photons, generator)
        light = exposed(gt.clamp(0, 1) ** GAMMA * exposure, photons, self.read_noise, generator)
        return (light ** (1 / GAMMA)).mul(255).round().div(255)

    def baseline(self, lq: Tensor) -> Tensor:
        """Return lq, brightened by the geometric mean of the exposures."""
        low, high = self.exposure if isinstance(self.exposure, tuple) else (self.exposure, self.exposure)
        return (lq.clamp(0, 1) ** GAMMA / math.sqrt(low * high)).clamp(0, 1) ** (1 / GAMMA)


class CameraNoise(Task):
    """Undo the noise of a sensor: photon noise, whose variance rises with the light, and Gaussian noise of reading."""

    random: ClassVar[bool] = True

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    shot: Positives = (1e-4, 1.2e-2)
    """Variance of photon noise at white, in linear light; of a pair, the logarithm is sampled uniformly."""
    read: Positives = (1e-3, 3e-2)
    """Standard deviation of read noise in linear light; of a pair, the logarithm is sampled uniformly."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the noisy image in [0,1], rounded to 8 bit."""
        from lowvision_degradations.pixels import exposed

        shot, read = _drawn_logarithm(self.shot, generator), _drawn_logarithm(self.read, generator)
        light = exposed(gt.clamp(0, 1) ** GAMMA, 1 / shot, read / shot, generator)
        return (light ** (1 / GAMMA)).mul(255).round().div(255)


def _drawn_logarithm(value: float | tuple[float, float], generator: Generator) -> float:
    if not isinstance(value, tuple):
        return value
    return math.exp(drawn((math.log(value[0]), math.log(value[1])), generator))
