"""The contract of tasks: degradations of clean images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lowvision.config.options import Options

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Task(Options, ABC):
    """A degradation of clean images, which networks learn to invert."""

    random: ClassVar[bool] = False
    """True: the degradation is drawn for each tile. False: it is applied once, to whole images."""
    margin: ClassVar[int] = 0
    """LQ pixels around a tile on which its degradation depends. If `random`, a tile is degraded together with them and
    cut out afterwards, so that its borders show no seam; beyond the photograph, edge pixels are replicated."""

    scale: int = Field(default=1, ge=1)
    """Size of GT divided by size of LQ; 1 for tasks that keep the size."""
    channels: Literal[1, 3] = 3
    """Colour channels of an image: 3 for RGB, 1 for grey."""

    @abstractmethod
    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return LQ (C,H/scale,W/scale) for `gt` (C,H,W) in [0,1]; H and W are multiples of `scale`.

        Draw all random numbers from `generator`, which is on the CPU. The result may exceed [0,1].
        """

    def link(self, image: Tensor, generator: Generator, size: tuple[int, int]) -> Tensor:
        """Return `image` (C,H,W) of any size, degraded as one link of a chain of tasks; by default, `degrade`.

        The result may have another size; `size` is the height and width at which the chain ends.
        """
        height, width = (max(side // self.scale, 1) * self.scale for side in image.shape[1:])
        if min(image.shape[1:]) < self.scale:
            return image
        return self.degrade(image[:, :height, :width], generator)

    def degrade_batch(self, gt: Tensor, generators: Sequence[Generator]) -> Tensor:
        """Return LQ (B,C,H/scale,W/scale) for `gt` (B,C,H,W) on any device, each image by its own generator.

        By default, `degrade` of each image. An override may be faster on a device, and draw there from generators that
        are seeded by the given ones; an image's result must not depend on the other images.
        """
        import torch

        return torch.stack([self.degrade(image, generator) for image, generator in zip(gt, generators, strict=True)])

    def link_batch(
        self, images: Sequence[Tensor], generators: Sequence[Generator], size: tuple[int, int]
    ) -> list[Tensor]:
        """Return images, which may differ in size, each degraded by its own generator; by default, `link` of each."""
        return [self.link(image, generator, size) for image, generator in zip(images, generators, strict=True)]

    def baseline(self, lq: Tensor) -> Tensor:
        """Return a restoration without a network, (B,C,h,w) -> (B,C,h*scale,w*scale).

        Default: bicubic interpolation, which may overshoot [0,1]; at scale 1, lq itself.
        """
        from lowvision.imaging.resize import resize

        height, width = lq.shape[-2:]
        return resize(lq, (height * self.scale, width * self.scale))
