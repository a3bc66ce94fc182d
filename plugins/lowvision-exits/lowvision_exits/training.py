"""What trains a network with exits: an image at every one of them, and the regressor's word on what is to be gained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision_exits.network import Network, capacity

FAINTEST = 1e-10
"""The least mean squared error that a PSNR is taken of: 100 dB."""


class AnyExit(nn.Module):
    """Called with lq (B,C,h,w), gt (B,C,s*h,s*w) in [0,1] and progress: the losses by name.

    `image`: L1 at every exit, each weighing the same, as in APE. `capacity`: the squared error of the capacities that
    the regressor tells; of all that is still to be gained, where APE's is of the last step, since a step alone is
    mostly noise. It reads features without a gradient, so that judging does not disturb what is judged.
    """

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        errors, expected = [], []
        for number, state in enumerate(self.network.through(lq)):
            errors.append(self.network.leavable.forward_head(state, lq) - gt)
            if number < len(self.network.places) - 1:
                expected.append(self.network.regressor(state[0].detach(), number))
        *early, end = (_psnr(error.detach()) for error in errors)
        wrong = capacity(torch.stack(expected)) - capacity(end - torch.stack(early))  # (exits - 1, B)
        return {
            "image": torch.stack([error.abs().mean() for error in errors]).mean(),
            "capacity": wrong.square().mean(),
        }


def _psnr(error: Tensor) -> Tensor:
    """(B,) in dB, of errors (B,C,H,W)."""
    return -10 * error.square().mean(dim=(1, 2, 3)).clamp_min(FAINTEST).log10()
