"""The mean colour that some networks subtract from their input and add to their output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean R, G, B of the DIV2K training photographs in [0,1]."""


class MeanShift(nn.Module):
    """The mean colour as a constant (1,C,1,1); for grey, the mean of R, G and B."""

    value: Tensor

    def __init__(self, colours: int, mean: tuple[float, float, float] = DIV2K_MEAN):
        super().__init__()
        rgb = torch.tensor(mean)
        value = rgb if colours == len(mean) else rgb.mean().expand(colours)
        self.register_buffer("value", value.reshape(1, -1, 1, 1).clone(), persistent=False)

    def sub(self, image: Tensor) -> Tensor:
        return image - self.value

    def add(self, image: Tensor) -> Tensor:
        return image + self.value
