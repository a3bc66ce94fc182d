"""PCSR: every pixel of the enlarged image is made by a heavy or a light upsampler, as a classifier of pixels says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from lowvision import Backbone, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn

Widths = tuple[Annotated[int, Field(ge=1)], ...]
"""Of the hidden layers of a perceptron."""


class Pixel(Backbone):
    """PCSR: FSRCNN's body and, for each pixel, a heavy or a light perceptron (Jeong et al., ECCV 2024)."""

    scales: ClassVar[tuple[int, ...]] = (2, 3, 4)

    channels: int = Field(default=48, ge=1)
    """Features of an LQ pixel, which all perceptrons read."""
    shrink: int = Field(default=12, ge=1)
    """Feature channels inside the body."""
    layers: int = Field(default=4, ge=1)
    """Mapping convolutions of the body."""
    heavy: Widths = Field(default=(58, 58, 58, 58), min_length=1)
    """Hidden features of the heavy upsampler, layer by layer."""
    light: Widths = Field(default=(10, 10, 10), min_length=1)
    """Hidden features of the light one."""
    classifier: Widths = ()
    """Hidden features of the classifier; none: it is linear."""
    heavy_until: float = Field(default=0.8, gt=0, lt=1)
    """The share of a stage in which body and heavy upsampler learn; the light one and the classifier do in the rest."""
    average_weight: float = Field(default=0.003, ge=0)
    """Of the loss that asks for equally many heavy and light pixels, where the image's L1 has 1."""
    skip: Skip = "bilinear"
    """The interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_pixel.network import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            shrink=self.shrink,
            layers=self.layers,
            heavy=self.heavy,
            light=self.light,
            classifier=self.classifier,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # The 5x5 head and the 3x3 mapping; perceptrons see one pixel's features, and a skip sees less than the head.
        return 2 + self.layers

    def objective(self, network: nn.Module) -> nn.Module:
        from lowvision_pixel.network import Network
        from lowvision_pixel.training import HeavyThenLight

        assert isinstance(network, Network)
        return HeavyThenLight(network, self.heavy_until, self.average_weight)


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"pixel": Pixel}
