"""Blur kernels, and their application to images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import torch
from torch import Generator, Tensor
from torch.nn import functional

from lowvision_blur import TRUNCATION

SOFT_EDGE = 1.0
"""Width in pixels of the edge of discs and lines."""


@dataclass(frozen=True)
class Shape:
    """A kernel of the task `blur`."""

    kernel: Literal["gaussian", "disc", "generalized", "plateau"]
    radius: float
    second: float
    """Radius of the second axis."""
    angle: float
    """Direction of the first axis in radians."""
    exponent: float
    size: int | None
    """Side of the kernel; None: 4 radii to each side."""

    @property
    def is_separable(self) -> bool:
        """Return True if `blurred` computes it faster."""
        return self.kernel in ("gaussian", "disc")

    @property
    def reach(self) -> int:
        """Return the pixels on each side of the centre."""
        if self.size is not None:
            return self.size // 2
        return math.ceil((1 if self.kernel == "disc" else TRUNCATION) * max(self.radius, self.second))


def blurred(image: Tensor, kernel: Literal["gaussian", "disc"], radius: float) -> Tensor:
    """Blur an image (C,H,W) in [0,1] by `radius` pixels, with edge pixels replicated. Keeps the dtype."""
    if kernel == "disc":
        return filtered(image, disc(radius)).clamp(0, 1)
    line = gaussian(radius)
    return filtered(filtered(image, line[:, None]), line[None]).clamp(0, 1)


def gaussian(sigma: float) -> Tensor:
    """Return (K,) a Gaussian of standard deviation `sigma`, of sum 1, in float64."""
    offsets = _offsets(math.ceil(TRUNCATION * sigma))
    return _normalised((-0.5 * (offsets / sigma) ** 2).exp())


def disc(radius: float) -> Tensor:
    """Return (K,K) a disc of that radius with a soft edge, one pixel wide, of sum 1, in float64."""
    return _disc(radius, math.ceil(radius))


def of_shape(shape: Shape) -> Tensor:
    """Return (K,K) the kernel, of sum 1, in float64."""
    if shape.kernel == "disc":
        return _disc(shape.radius, shape.reach)
    along, across = _turned(_offsets(shape.reach), shape.angle)
    squared = ((along / shape.radius) ** 2 + (across / shape.second) ** 2) ** shape.exponent
    return _normalised(1 / (1 + squared) if shape.kernel == "plateau" else (-0.5 * squared).exp())


def sinc(cutoff: float, size: int) -> Tensor:
    """Return (size,size) the circular low-pass filter of a cut-off frequency in radians per pixel, of sum 1.

    Its impulse response is c J1(c r) / (2 pi r) at the distance r from the centre.
    """
    offsets = _offsets(size // 2)
    distance = torch.hypot(offsets[:, None], offsets[None])
    centre = torch.full_like(distance, cutoff**2 / (4 * math.pi))  # the limit at r = 0
    ring = cutoff * torch.special.bessel_j1(cutoff * distance) / (2 * math.pi * distance.clamp(min=1e-9))
    return _normalised(torch.where(distance == 0, centre, ring))


def line(length: float, angle: float) -> Tensor:
    """Return (K,K) a line through the centre with soft ends and sides, of sum 1, in float64; angle in radians."""
    along, across = _turned(_offsets(math.ceil(length / 2) + 1), angle)
    ends = (length / 2 + SOFT_EDGE / 2 - along.abs()).clamp(0, SOFT_EDGE)
    return _normalised(ends * (SOFT_EDGE - across.abs()).clamp(min=0))


def filtered(image: Tensor, kernel: Tensor) -> Tensor:
    """Filter every colour of image (C,H,W) by a kernel (K,L) with odd sides, with edge pixels replicated."""
    if image.device.type == "cpu" and min(kernel.shape) > 1 and image.dtype in (torch.float32, torch.float64):
        return _filtered_by_opencv(image, kernel)
    pad_y, pad_x = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = functional.pad(image[:, None], (pad_x, pad_x, pad_y, pad_y), mode="replicate")  # (C,1,H+K-1,W+L-1)
    return functional.conv2d(padded, kernel.to(image)[None, None])[:, 0]


def filtered_batch(images: Tensor, kernels: Sequence[Tensor]) -> Tensor:
    """Filter each image of (B,C,H,W) by a separate square kernel with an odd side in one pass, like `filtered`."""
    side = max(len(kernel) for kernel in kernels)
    equal = [functional.pad(kernel, 4 * [(side - len(kernel)) // 2]) for kernel in kernels]
    weights = torch.stack(equal).to(images).repeat_interleave(images.shape[1], dim=0)[:, None]  # (B*C,1,K,K)
    padded = functional.pad(images, 4 * [side // 2], mode="replicate").flatten(0, 1)[None]  # (1,B*C,H+K-1,W+K-1)
    return functional.conv2d(padded, weights, groups=len(weights))[0].view(images.shape)


def _filtered_by_opencv(image: Tensor, kernel: Tensor) -> Tensor:
    """Filter as `filtered` does; OpenCV is ten times as fast as PyTorch for large kernels, by Fourier transforms."""
    pixels = image.permute(1, 2, 0).contiguous().numpy()  # (H,W,C)
    result = cv2.filter2D(pixels, -1, kernel.numpy(), borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(result.reshape(pixels.shape)).permute(2, 0, 1).contiguous()


def sampled(value: float | tuple[float, float], generator: Generator) -> float:
    """Return the number itself, or one of the pair [low, high]."""
    if not isinstance(value, tuple):
        return value
    low, high = value
    return low + (high - low) * torch.rand((), generator=generator).item()


def sampled_odd(value: int | tuple[int, int], generator: Generator) -> int:
    """Return the odd number itself, or an odd one of the pair [low, high]."""
    if not isinstance(value, tuple):
        return value
    low, high = value
    return low + 2 * int(torch.randint((high - low) // 2 + 1, (), generator=generator))


def _offsets(reach: int) -> Tensor:
    return torch.arange(-reach, reach + 1, dtype=torch.float64)


def _turned(offsets: Tensor, angle: float) -> tuple[Tensor, Tensor]:
    """Return the coordinates (K,K) of every pixel along and across a direction."""
    rows, columns = offsets[:, None], offsets[None]
    along = columns * math.cos(angle) + rows * math.sin(angle)
    return along, rows * math.cos(angle) - columns * math.sin(angle)


def _disc(radius: float, reach: int) -> Tensor:
    offsets = _offsets(reach)
    return _normalised((radius + 0.5 - torch.hypot(offsets[:, None], offsets[None])).clamp(0, 1))


def _normalised(weights: Tensor) -> Tensor:
    return weights / weights.sum()
