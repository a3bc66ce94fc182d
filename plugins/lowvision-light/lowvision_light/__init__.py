"""Light networks for super-resolution, or for any task of scale 1 to 4: SRCNN, VDSR, ESPCN, EDSR, IMDN, PAN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lowvision import Backbone, Format, Recognised, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn


class SRCNN(Backbone):
    """Three convolutions on the bicubically enlarged image (Dong et al., IEEE TPAMI 2016)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=2)
    """Feature channels of the first convolution (the paper's n1); the others have half as many."""
    layers: int = Field(default=1, ge=1)
    """Number of mapping convolutions, between the first and the last."""
    middle: Literal[1, 3, 5] = 5
    """Kernel of the mapping convolutions: the paper's 9-1-5, 9-3-5 or 9-5-5."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_light.srcnn import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            middle=self.middle,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        return through_bicubic(4 + self.layers * (self.middle // 2) + 2, task.scale)


class VDSR(Backbone):
    """A deep stack of convolutions on the bicubically enlarged image, with a skip (Kim et al., CVPR 2016)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=1)
    """Feature channels."""
    layers: int = Field(default=20, ge=2)
    """Total number of convolutions."""
    skip: Skip = "bicubic"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_light.vdsr import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        return through_bicubic(self.layers, task.scale)


class ESPCN(Backbone):
    """Three convolutions and the first pixel shuffle (Shi et al., CVPR 2016)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=2)
    """Feature channels of the first convolution (the paper's n1); the others have half as many."""
    layers: int = Field(default=1, ge=1)
    """Number of mapping convolutions, between the first and the last."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_light.espcn import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # 5x5 convolution, 3x3 mapping convolutions, 3x3 convolution before the shuffle.
        return 2 + self.layers + 1


class EDSR(Backbone):
    """Residual blocks without BatchNorm inside a long skip; the default is EDSR-baseline (Lim et al., CVPRW 2017)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=1)
    """Feature channels."""
    layers: int = Field(default=16, ge=1)
    """Number of residual blocks."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_light.edsr import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # Head; two per block; end of the trunk; the upsampler if scale > 1, and the last convolution.
        return 1 + 2 * self.layers + 1 + (1 if task.scale == 1 else 2)


class IMDN(Backbone):
    """Blocks that distil a quarter of their features at each step (Hui et al., ACM MM 2019)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=4)
    """Feature channels; each step of a block distils a quarter of them."""
    layers: int = Field(default=6, ge=1)
    """Number of information multi-distillation blocks."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_light.imdn import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            skip=self.skip,
        )

    def reach(self, task: Task) -> None:
        # Contrast-aware attention averages over the whole input.
        return None


class PAN(Backbone):
    """Self-calibrated blocks with pixel attention (Zhao et al., ECCVW 2020)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=40, ge=2)
    """Feature channels; the upsampling stages have three fifths as many."""
    layers: int = Field(default=16, ge=1)
    """Number of self-calibrated blocks."""
    skip: Skip = "bilinear"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_light.pan import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # Head; two per block; end of the trunk; then three convolutions at the largest size, which reach three pixels
        # there. At x4 a stage of two convolutions at twice the size precedes them.
        return 1 + 2 * self.layers + 1 + {1: 3, 2: 2, 3: 1, 4: 2}[task.scale]


class IMDNFile(Format):
    """Files of IMDN's authors."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_light.authors import imdn

        try:
            return imdn.recognise(state)
        except KeyError as missing:
            raise ValueError(f"{missing.args[0]} is missing") from None


class PANFile(Format):
    """Files of PAN's authors."""

    scale: Literal[2, 3, 4] | None = None
    """Scale of the network; required for x2 and x3, which have equal tensors."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_light.authors import pan

        try:
            return pan.recognise(state, self.scale)
        except KeyError as missing:
            raise ValueError(f"{missing.args[0]} is missing") from None


def through_bicubic(radius: int, scale: int) -> int:
    """Return the receptive field in LQ pixels of a network that reads `radius` pixels of the bicubic enlargement.

    The farthest enlarged pixel lies (scale - 1 + 2 * radius) / (2 * scale) LQ pixels from the centre of the output's
    LQ pixel. Bicubic interpolation there reads two LQ pixels on each side.
    """
    if scale == 1:
        return radius
    return -(-(scale - 1 + 2 * radius) // (2 * scale)) + 1


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"srcnn": SRCNN, "vdsr": VDSR, "espcn": ESPCN, "edsr": EDSR, "imdn": IMDN, "pan": PAN}


@hookimpl
def lowvision_formats() -> Mapping[str, type[Format]]:
    return {"imdn_file": IMDNFile, "pan_file": PANFile}
