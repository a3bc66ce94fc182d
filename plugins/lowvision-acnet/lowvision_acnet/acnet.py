"""ACNet: asymmetric blocks, their sum, and a tail at full size (Tian, Xu, Zuo, Lin, Zhang, IEEE TSMC 2021).

Only the convolutions before the pixel shuffles have a bias. In a fused network a single convolution, the sum of
the three of a block, has their name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision import Skip
from lowvision.layers import STEPS, MeanShift, ParallelConv, add_skip, init_kaiming_, init_near_zero_, init_zero_mean_

KERNELS = ((1, 3), (3, 1), (3, 3))
"""Height and width of the parallel kernels of a block."""


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, fused: bool, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.mean = MeanShift(colours)
        self.head = Asymmetric(colours, channels, fused)
        self.blocks = nn.ModuleList(Asymmetric(channels, channels, fused) for _ in range(layers - 1))
        self.enlarge = enlarging(channels, scale)
        self.end_deep = end(channels)
        self.end_shallow = end(channels)
        self.refine = nn.Sequential(square(channels), nn.ReLU(inplace=True), square(channels), nn.ReLU(inplace=True))
        self.last = nn.Conv2d(channels, colours, 3, padding=1, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self)
        for module in self.modules():
            if isinstance(module, Asymmetric):
                module.share_variance()
        init_near_zero_(self.last)
        if self.skip != "none":
            for part in self.head.convolutions():
                init_zero_mean_(part)

    def forward(self, lq: Tensor) -> Tensor:
        lq = self.mean.sub(lq)
        shallow = total = self.head(lq)  # (B, channels, h, w)
        features = functional.relu(shallow)
        for block in self.blocks:
            output = block(features)
            total = total + output
            features = functional.relu(output)
        # The same convolutions upsample the sum of all blocks and the output of the first.
        deep = self.end_deep(self.enlarge(functional.relu(total)))  # (B, channels, h*scale, w*scale)
        ends = deep + self.end_shallow(self.enlarge(functional.relu(shallow)))
        image = self.last(self.refine(functional.relu(ends)))  # (B, colours, h*scale, w*scale)
        return self.mean.add(add_skip(image, lq, self.scale, self.skip))


class Asymmetric(nn.Module):
    """The sum of a 1x3, a 3x1 and a 3x3 convolution; if fused, a single 3x3 convolution."""

    def __init__(self, old: int, new: int, fused: bool):
        super().__init__()
        self.kernels: nn.Module = square(new, old)
        if not fused:
            self.kernels = ParallelConv(
                nn.Conv2d(old, new, kernel, padding=(kernel[0] // 2, kernel[1] // 2), bias=False) for kernel in KERNELS
            )

    def share_variance(self) -> None:
        """Scale the initial weights so that the sum has the variance of one convolution."""
        parts = self.convolutions()
        with torch.no_grad():
            for part in parts:
                part.weight.div_(len(parts) ** 0.5)

    def convolutions(self) -> list[nn.Conv2d]:
        """Return the convolutions whose outputs are added."""
        parts = self.kernels if isinstance(self.kernels, ParallelConv) else [self.kernels]
        return [part for part in parts if isinstance(part, nn.Conv2d)]

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.kernels(features)
        return output


def square(channels: int, old: int | None = None) -> nn.Conv2d:
    """Build a 3x3 convolution without bias from `old` channels, by default `channels`."""
    return nn.Conv2d(channels if old is None else old, channels, 3, padding=1, bias=False)


def enlarging(channels: int, scale: int) -> nn.Sequential:
    """Enlarge (B,channels,h,w) to (B,channels,h*scale,w*scale), with ReLU before each pixel shuffle."""
    steps = nn.Sequential()
    for factor in STEPS[scale]:
        steps.append(nn.Conv2d(channels, channels * factor**2, 3, padding=1))
        steps.append(nn.ReLU(inplace=True))
        steps.append(nn.PixelShuffle(factor))
    return steps


def end(channels: int) -> nn.Sequential:
    """Build the convolutions at full size that end each of the two paths."""
    return nn.Sequential(square(channels), nn.ReLU(inplace=True), square(channels))
