"""A residual network whose blocks differ in width and kernels, similar to EDSR (Lim et al., CVPRW 2017).

One convolution and a pixel shuffle form the tail, so that the blocks, which are searched, have nearly all of the cost.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from lowvision import Skip
from lowvision.layers import MeanShift, add_skip, init_kaiming_, init_near_zero_, init_zero_mean_, scale_residual_
from lowvision_search import Kernels


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, blocks: Sequence[tuple[int, Kernels]], skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.mean = MeanShift(colours)
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(channels, width, kernels) for width, kernels in blocks))
        self.last = nn.Conv2d(channels, colours * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self)
        for module in self.modules():
            if isinstance(module, Block):
                scale_residual_(module.end)
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        lq = self.mean.sub(lq)
        features = self.blocks(self.head(lq))  # (B, channels, h, w)
        image = self.shuffle(self.last(features))  # (B, colours, h*scale, w*scale)
        return self.mean.add(add_skip(image, lq, self.scale, self.skip))


class Block(nn.Module):
    """Convolution to `width` channels, ReLU, convolution back, residual connection."""

    def __init__(self, channels: int, width: int, kernels: Kernels):
        super().__init__()
        self.kernels = kernels
        first, second = kernels
        self.start = nn.Conv2d(channels, width, first, padding=first // 2)
        self.end = nn.Conv2d(width, channels, second, padding=second // 2)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.end(functional.relu(self.start(features)))
