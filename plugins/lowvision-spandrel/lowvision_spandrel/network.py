"""A spandrel network as a branch: any input size, trainable, with a countable cost."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision import WeightsError
from lowvision_spandrel.blueprint import Blueprint


class Network(nn.Module):
    """The network, (B,C,h,w) in [0,1] -> (B,C,s*h,s*w). Inputs of an unsupported size are padded by their edges."""

    def __init__(self, blueprint: Blueprint):
        super().__init__()
        self.network = blueprint.make(**blueprint.hyperparameters)
        self._name, self._call = blueprint.name, blueprint.call
        self._scale, self._sizes = blueprint.scale, blueprint.sizes

    def forward(self, lq: Tensor) -> Tensor:
        height, width = lq.shape[2:]
        right, below = self._sizes.get_padding(width, height)
        if not (right or below):
            return self._run(lq.clone())  # some networks, e.g. RCAN, write into their input
        wide = functional.pad(lq, (0, right, 0, below), mode="replicate")
        return self._run(wide)[..., : self._scale * height, : self._scale * width]

    def _run(self, lq: Tensor) -> Tensor:
        try:
            return self._call(self.network, lq)
        except (NotImplementedError, RuntimeError) as error:
            if not lq.is_meta:
                raise
            raise WeightsError(
                f"{self._name}: its computation depends on pixel values, so its cost cannot be counted"
            ) from error


def build(blueprint: Blueprint) -> Network:
    """Return the network with initial weights on torch's default device."""
    device = torch.get_default_device()
    with torch.device("cpu"):  # constructors read values, which the meta device does not have
        network = Network(blueprint)
    return network.to(device)
