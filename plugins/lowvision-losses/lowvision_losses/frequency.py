"""Losses of the frequencies of images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FLOOR = 1e-4
"""Amplitude below which a phase is noise and does not count; for spectra of unit norm of images in [0,1]."""


class Spectrum(nn.Module):
    """L1 of the real and imaginary parts of the spectra (Cho et al. 2021), with the orthonormal transform."""

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        return torch.view_as_real(torch.fft.rfft2(restored - gt, norm="ortho")).abs().mean()


class AmplitudeAndPhase(nn.Module):
    """Weighted L1 of the amplitudes, and of the angles between the spectra."""

    def __init__(self, amplitude: float, phase: float):
        super().__init__()
        self.amplitude, self.phase = amplitude, phase

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        a, b = (torch.fft.rfft2(image, norm="ortho") for image in (restored, gt))
        size_a, size_b = (_modulus(spectrum) for spectrum in (a, b))
        loss = self.amplitude * (size_a - size_b).abs().mean()
        if not self.phase:
            return loss
        # The angle between two numbers is that of one times the conjugate of the other, which needs no unwrapping.
        turned = a * b.conj()
        counts = (size_a > FLOOR) & (size_b > FLOOR)
        angles = torch.atan2(
            torch.where(counts, turned.imag, torch.zeros_like(size_a)),
            torch.where(counts, turned.real, torch.ones_like(size_a)),
        )
        return loss + self.phase * angles.abs().mean()


def _modulus(spectrum: Tensor) -> Tensor:
    """Return the amplitudes, with a finite gradient at 0."""
    return (torch.view_as_real(spectrum).square().sum(dim=-1) + 1e-16).sqrt()
