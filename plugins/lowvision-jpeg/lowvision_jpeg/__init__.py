"""The task JPEG artifact removal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from lowvision import Task, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor

Quality = Annotated[int, Field(ge=1, le=100)]
"""libjpeg's quality, 1..100."""
THREADS = 8
"""Most images of an accelerator that are coded at once."""
UNIT = 16
"""Side in pixels of JPEG's largest coding unit: two blocks of 8, with subsampled chroma."""


class Deblocking(Task):
    """Undo JPEG compression; images are encoded and decoded by libjpeg.

    A single quality is applied to whole photographs, once. With a pair, the quality and the offset of the block grid
    are sampled per tile, so that the network is trained at every offset.
    """

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    quality: Quality | tuple[Quality, Quality] = 10
    """libjpeg's quality, 1..100; a pair [low, high] is sampled uniformly, per tile."""
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = "4:2:0"
    """Chroma subsampling: none, horizontal, or horizontal and vertical; grey images have no chroma."""

    @field_validator("quality")
    @classmethod
    def _pair_ascends(cls, quality: int | tuple[int, int]) -> int | tuple[int, int]:
        if isinstance(quality, tuple) and quality[0] > quality[1]:
            raise ValueError(f"quality must ascend, e.g. [10, 40]; got {list(quality)}")
        return quality

    @property
    def random(self) -> bool:  # type: ignore[override]  # a class variable in the contract
        """True if the degradation is sampled per tile."""
        return isinstance(self.quality, tuple)

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Return the decoded image, 8 bit, in [0,1]. Raises DataError if gt is too large for JPEG."""
        from lowvision_jpeg.coding import compressed

        if not isinstance(self.quality, tuple):
            return compressed(gt, self.quality, self.subsampling)
        import torch

        low, high = self.quality
        quality = int(torch.randint(low, high + 1, (), generator=generator))
        top, left = torch.randint(UNIT, (2,), generator=generator).tolist()
        return compressed(gt, quality, self.subsampling, top, left)

    def link_batch(
        self, images: Sequence[Tensor], generators: Sequence[Generator], size: tuple[int, int]
    ) -> list[Tensor]:
        """Return the decoded images; those of an accelerator are coded on the CPU, in several threads."""
        if images[0].device.type == "cpu":
            return super().link_batch(images, generators, size)
        return self.in_threads(images, generators, size)

    def in_threads(
        self, images: Sequence[Tensor], generators: Sequence[Generator], size: tuple[int, int]
    ) -> list[Tensor]:
        """Return the decoded images, several of which are coded at once."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(THREADS, len(images))) as pool:
            return list(pool.map(self.link, images, generators, [size] * len(images)))


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {"jpeg": Deblocking}
