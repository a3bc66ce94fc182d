"""Objectives that train every width of one network."""

from __future__ import annotations

import random

from torch import Tensor, nn

from lowvision import ImageLoss
from lowvision_arm.network import Network


class AllWidths(nn.Module):
    """The image loss of every width's output: one loss per width, which sum to the mean."""

    def __init__(self, network: Network, image_loss: ImageLoss):
        super().__init__()
        self.network, self.image_loss = network, image_loss

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        widths = self.network.widths
        return {f"width_{width}": self.image_loss(self.network.sliced(lq, width), gt) / len(widths) for width in widths}


class OneWidth(nn.Module):
    """The image loss of the output of one width, sampled per update."""

    def __init__(self, network: Network, image_loss: ImageLoss):
        super().__init__()
        self.network, self.image_loss = network, image_loss

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        # Seeded by the progress, so that all processes, and a resumed run, sample the same width.
        width = random.Random(progress).choice(self.network.widths)
        return {"image": self.image_loss(self.network.sliced(lq, width), gt)}
