"""The objective of PCSR: first body and heavy upsampler; then, with these frozen, light upsampler and classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision import ImageLoss
from lowvision_pixel.network import Network


class HeavyThenLight(nn.Module):
    """The image loss of the heavy upsampler at first; then of both, blended by probability, plus the average loss."""

    def __init__(self, network: Network, image_loss: ImageLoss, heavy_until: float, average_weight: float):
        super().__init__()
        self.image_loss = image_loss
        self.network, self.heavy_until, self.average_weight = network, heavy_until, average_weight

    def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
        network = self.network
        if progress < self.heavy_until:
            return {"image": self.image_loss(network.all_by(network.heavy, lq), gt)}
        network.unasked.fill_(False)
        with torch.no_grad():
            features = network.features(lq)
            heavy = network.heavy.at_all(network.heavy.enter(features))
        p = network.logits(features).softmax(dim=-1)  # (B, h, w, scale^2, 2)
        light = network.light.at_all(network.light.enter(features))
        image = network.image(p[..., :1] * light + p[..., 1:] * heavy, lq)
        half = p.shape[:-1].numel() / 2
        average = (p[..., 1].sum() - half).abs() / half
        return {"image": self.image_loss(image, gt), "average": self.average_weight * average}
