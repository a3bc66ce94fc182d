"""Training losses for lowvision: pixels, structure, frequencies, gradients, features of a network, a discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from lowvision import Loss, Task, hookimpl
from lowvision_losses.adversarial import Adversarial
from lowvision_losses.perceptual import Perceptual

if TYPE_CHECKING:
    from torch import nn


class L2(Loss):
    """Mean squared error, which maximises PSNR."""

    def build(self, task: Task) -> nn.Module:
        from torch import nn

        return nn.MSELoss()


class Charbonnier(Loss):
    """A smooth L1: the root of the squared error plus eps squared (Lai et al. 2017)."""

    eps: float = Field(default=1e-3, gt=0)
    """Error below which it is quadratic; images are in [0,1]."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_losses import pixels

        return pixels.Charbonnier(self.eps)


class SSIM(Loss):
    """1 minus the structural similarity, per channel, with a Gaussian window (Wang et al. 2004)."""

    window: int = Field(default=11, ge=3)
    """Size of the window in pixels; smaller images use the largest window that fits."""
    sigma: float = Field(default=1.5, gt=0)
    """Standard deviation of the window."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_losses import structure

        return structure.SSIM(self.window, self.sigma)


class FFT(Loss):
    """L1 between spectra: of their real and imaginary parts, or of amplitudes and phases."""

    amplitude: float | None = Field(default=None, ge=0)
    """Weight of the difference of amplitudes; null: L1 of complex spectra, unless `phase` is given."""
    phase: float | None = Field(default=None, ge=0)
    """Weight of the difference of phases in radians; null: as `amplitude`."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_losses import frequency

        if self.amplitude is None and self.phase is None:
            return frequency.Spectrum()
        return frequency.AmplitudeAndPhase(self.amplitude or 0.0, self.phase or 0.0)


class Gradient(Loss):
    """L1 between horizontal and vertical derivatives (Sobel), for sharp edges."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_losses import structure

        return structure.Gradient()


@hookimpl
def lowvision_losses() -> Mapping[str, type[Loss]]:
    return {
        "l2": L2,
        "charbonnier": Charbonnier,
        "ssim": SSIM,
        "fft": FFT,
        "gradient": Gradient,
        "perceptual": Perceptual,
        "adversarial": Adversarial,
    }
