"""The objective of a network with exits: the image at every exit, and the regressor's prediction of the gain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision import ImageLoss
from lowvision_exits.network import Network, capacity

MIN_MSE = 1e-10
"""Smallest mean squared error for a PSNR: 100 dB."""


class AnyExit(nn.Module):
    """Losses by name, from lq (B,C,h,w), gt (B,C,s*h,s*w) in [0,1] and progress.

    `image`: mean image loss over all exits, as in APE. `capacity`: squared error of the predicted capacities. Here a
    capacity measures the gain from an exit to the end of the network; in APE it measures the gain of one step, which
    is mostly noise. The gradient of the regressor does not reach the features.
    """

    def __init__(self, network: Network, image_loss: ImageLoss):
        super().__init__()
        self.network = network
        self.image_loss = image_loss

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        images, expected = [], []
        for number, state in enumerate(self.network.states(lq)):
            images.append(self.network.inner.forward_head(state, lq))
            if number < len(self.network.places) - 1:
                expected.append(self.network.regressor(state[0].detach(), number))
        *early, end = (_psnr(image.detach() - gt) for image in images)
        deviation = capacity(torch.stack(expected)) - capacity(end - torch.stack(early))  # (exits - 1, B)
        return {
            "image": torch.stack([self.image_loss(image, gt) for image in images]).mean(),
            "capacity": deviation.square().mean(),
        }


def _psnr(error: Tensor) -> Tensor:
    """Return (B,) in dB, from errors (B,C,H,W)."""
    return -10 * error.square().mean(dim=(1, 2, 3)).clamp_min(MIN_MSE).log10()
