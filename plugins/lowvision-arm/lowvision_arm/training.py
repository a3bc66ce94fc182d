"""Objectives that train every width of one network."""

from __future__ import annotations

import random

from torch import Tensor, nn

from lowvision_arm.network import Network


class AllWidths(nn.Module):
    """L1 of every width's output: one loss per width, which sum to the mean."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        widths = self.network.widths
        return {f"width_{width}": l1(self.network, width, lq, gt) / len(widths) for width in widths}


class OneWidth(nn.Module):
    """L1 of the output of one width, sampled per update."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        # Seeded by the progress, so that all processes, and a resumed run, sample the same width.
        width = random.Random(progress).choice(self.network.widths)
        return {"image": l1(self.network, width, lq, gt)}


def l1(network: Network, width: int, lq: Tensor, gt: Tensor) -> Tensor:
    """Return the L1 loss of the network in that width."""
    return nn.functional.l1_loss(network.sliced(lq, width), gt)
