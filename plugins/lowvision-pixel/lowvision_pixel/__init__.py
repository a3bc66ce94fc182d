"""PCSR: every output pixel is computed by a heavy or a light upsampler, selected by a pixel classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from lowvision import Backbone, Format, ImageLoss, Recognised, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

Widths = tuple[Annotated[int, Field(ge=1)], ...]
"""Widths of the hidden layers of a perceptron."""


class Pixel(Backbone):
    """PCSR: FSRCNN's body and, per output pixel, a heavy or a light perceptron (Jeong et al., ECCV 2024)."""

    scales: ClassVar[tuple[int, ...]] = (2, 3, 4)

    channels: int = Field(default=48, ge=1)
    """Features per LQ pixel, the input of all perceptrons."""
    shrink: int = Field(default=12, ge=1)
    """Feature channels of the mapping convolutions of the body."""
    layers: int = Field(default=4, ge=1)
    """Number of mapping convolutions of the body."""
    heavy: Widths = Field(default=(58, 58, 58, 58), min_length=1)
    """Hidden widths of the heavy upsampler, one per layer."""
    light: Widths = Field(default=(10, 10, 10), min_length=1)
    """Hidden widths of the light upsampler, one per layer."""
    classifier: Widths = ()
    """Hidden widths of the classifier; by default it is linear."""
    heavy_until: float = Field(default=0.8, gt=0, lt=1)
    """Fraction of a stage that trains body and heavy upsampler; the rest trains light upsampler and classifier."""
    average_weight: float = Field(default=0.003, ge=0)
    """Weight of the loss that balances heavy and light pixels, relative to the image's L1."""
    skip: Skip = "bilinear"
    """Interpolation of the input that is added to the output."""

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
        # 5x5 head and 3x3 mapping convolutions; perceptrons read one pixel, and a skip reaches less than the head.
        return 2 + self.layers

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module:
        from lowvision_pixel.network import Network
        from lowvision_pixel.training import HeavyThenLight

        assert isinstance(network, Network)
        return HeavyThenLight(network, image_loss, self.heavy_until, self.average_weight)


class PCSRFile(Format):
    """Files of PCSR's authors with FSRCNN as encoder, of the second phase of training."""

    scale: Literal[2, 3, 4] = 4
    """Scale to convert it for, which its tensors do not determine; 4 in the authors' files."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_pixel import pcsr_file

        try:
            return pcsr_file.recognise(state, self.scale)
        except KeyError as missing:
            raise ValueError(f"{missing.args[0]} is missing") from None


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"pixel": Pixel}


@hookimpl
def lowvision_formats() -> Mapping[str, type[Format]]:
    return {"pcsr_file": PCSRFile}
