"""A small regressor that predicts the mean squared error that each branch leaves on a tile."""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from torch import Tensor, nn
from torch.nn import functional

FLOOR = 1e-7
"""Smallest error that is distinguished from 0 (70 dB); also keeps logarithms finite on flat tiles."""
SLOPE = 0.1


class Network(nn.Module):
    """The predictor, (B,C,h,w) in [0,1] -> (B,branches): minus the predicted mean squared error of each branch.

    Features are learned (strided convolutions, pooled to mean, maximum and deviation) and fixed (logarithms of gradient
    statistics). The head predicts standardised values: the logarithm of the last branch's error, and the logarithms
    of the other branches' errors relative to it. The relative errors vary less, and they decide the choice.
    """

    centre: Tensor
    """(branches,) means of the predicted logarithms over the fitting tiles."""
    spread: Tensor
    """(branches,) their standard deviations."""

    def __init__(self, *, colours: int, branches: int, channels: int, hidden: int):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(colours, channels, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(channels, channels, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.head = nn.Sequential(
            nn.Linear(3 * channels + 4, hidden), nn.LeakyReLU(SLOPE, inplace=True), nn.Linear(hidden, branches)
        )
        # Until fitted: every branch halves the error of the one before it.
        self.register_buffer("centre", torch.arange(branches - 1, -1, -1) * torch.tensor(2.0).log() + _last(branches))
        self.register_buffer("spread", torch.ones(branches))

    def forward(self, lq: Tensor) -> Tensor:
        return -self.log_errors(lq).exp()

    def log_errors(self, lq: Tensor) -> Tensor:
        """Return the natural logarithms of the predicted errors, (B,branches)."""
        pooled = _pooled(self.features(lq))  # (B, 3 * channels)
        predicted = self.head(torch.cat([pooled, gradient_statistics(lq)], dim=1)) * self.spread + self.centre
        last = predicted[:, -1:]
        return torch.cat([predicted[:, :-1] + last, last], dim=1)

    @torch.no_grad()
    def fit(self, errors: Tensor) -> None:
        """Set centre and spread from errors (N,branches)."""
        logs = errors.clamp_min(FLOOR).log()
        targets = torch.cat([logs[:, :-1] - logs[:, -1:], logs[:, -1:]], dim=1)
        self.centre.copy_(targets.mean(dim=0))
        self.spread.copy_(targets.std(dim=0).clamp_min(1e-3))


def gradient_statistics(lq: Tensor) -> Tensor:
    """Return logarithms (B,4) of mean and largest absolute gradient, variance, and mean absolute Laplacian."""
    # Sums of slices: a mean over three channels and a convolution of one channel take most of the predictor's time.
    # All operators keep the channel axis of 1, since ncnn has no batch to reduce to.
    grey = reduce(add, lq.split(1, dim=1)) / lq.shape[1]
    across = (grey[:, :, :, 1:] - grey[:, :, :, :-1]).abs()
    down = (grey[:, :, 1:] - grey[:, :, :-1]).abs()
    laplacian = _laplacian(grey).abs()
    statistics = torch.cat(
        [
            across.mean(dim=(2, 3)) + down.mean(dim=(2, 3)),
            across.amax(dim=(2, 3)) + down.amax(dim=(2, 3)),
            (grey - grey.mean(dim=(2, 3), keepdim=True)).square().mean(dim=(2, 3)),
            laplacian.mean(dim=(2, 3)),
        ],
        dim=1,
    )
    return (statistics + 1e-4).log()


def _laplacian(grey: Tensor) -> Tensor:
    """(B,1,h,w) -> (B,1,h,w): sum of the four neighbours minus four times the pixel; borders are repeated."""
    padded = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    down = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]
    return down + padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:] - 4 * grey


def _pooled(features: Tensor) -> Tensor:
    """(B,C,h,w) -> (B,3C): mean, maximum and standard deviation of each channel."""
    mean = features.mean(dim=(2, 3), keepdim=True)
    deviation = ((features - mean).square().mean(dim=(2, 3)) + 1e-8).sqrt()
    return torch.cat([mean.flatten(1), features.amax(dim=(2, 3)), deviation], dim=1)


def _last(branches: int) -> Tensor:
    """Return (branches,): the initial log error of the last branch, 30 dB, at its index; zero elsewhere."""
    return functional.pad(torch.tensor([1e-3]).log(), (branches - 1, 0))
