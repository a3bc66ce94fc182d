"""The objective of a search: weights and architecture in a single phase, while the gates close."""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import ImageLoss
from lowvision_search.supernet import Network


class Search(nn.Module):
    """The image loss, and the distance of expected from target cost, as a fraction of the full network's."""

    def __init__(self, network: nn.Module, image_loss: ImageLoss, *, cost: float, mu: float, settled: float):
        super().__init__()
        assert isinstance(network, Network)
        self.network, self.image_loss = network, image_loss
        self.cost, self.mu, self.settled = cost, mu, settled

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        self.network.gates.close(min(1.0, progress / self.settled))
        opening = self.network.gates()
        share = self.network.expected_cost(opening) / self.network.full_cost()
        return {
            "image": self.image_loss(self.network.restore(lq, opening), gt),
            "cost": self.mu * (share - self.cost).abs(),
        }
