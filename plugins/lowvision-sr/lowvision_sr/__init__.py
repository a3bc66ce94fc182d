"""Super-resolution: the task, four networks, and readers for weights files of the ClassSR and CARN authors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lowvision import Backbone, Format, Recognised, Skip, Task, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

Colour = tuple[float, float, float]
"""R, G, B."""
DIV2K_MEAN: Colour = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training photographs, in [0,1]."""


class SuperResolution(Task):
    """Undo an antialiased (MATLAB-style) bicubic reduction."""

    scale: Literal[2, 3, 4] = 4
    """Upsampling factor: size of gt divided by size of lq."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Reduce by bicubic interpolation, clamped to [0,1], not rounded to 8 bit. `generator` is not used."""
        from lowvision import resize

        height, width = gt.shape[-2:]
        return resize(gt, (height // self.scale, width // self.scale)).clamp(0, 1)


class FSRCNN(Backbone):
    """A shallow network that upsamples with one transposed convolution (Dong et al., ECCV 2016)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=56, ge=1)
    """Feature channels of the first and the last convolution (the paper's d)."""
    shrink: int = Field(default=12, ge=1)
    """Feature channels of the mapping convolutions (the paper's s)."""
    layers: int = Field(default=4, ge=1)
    """Number of mapping convolutions (the paper's m)."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_sr.fsrcnn import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            shrink=self.shrink,
            layers=self.layers,
            skip=self.skip,
        )

    def reach(self, task: Task) -> int:
        # 5x5 head, 3x3 mapping convolutions, 9x9 transposed convolution.
        return 2 + self.layers + 4 // task.scale


class CARN(Backbone):
    """CARN-M: cascading blocks of grouped convolutions (Ahn et al., ECCV 2018)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=1)
    """Feature channels; a multiple of `groups`."""
    layers: int = Field(default=3, ge=1)
    """Number of cascading blocks."""
    groups: int = Field(default=4, ge=1)
    """Groups of the 3x3 convolutions in the blocks and the upsampler."""
    batch_norm: bool = False
    """Add BatchNorm after every 1x1 fusion, as the ClassSR authors' code and checkpoints do."""
    fusion_bias: bool = False
    """Add a bias to every 1x1 fusion, as CARN's authors do."""
    mean: Colour = DIV2K_MEAN
    """Mean colour, subtracted from the input and added to the output; grey images use its average."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    @model_validator(mode="after")
    def _groups_divide_channels(self) -> Self:
        if self.channels % self.groups:
            raise ValueError(f"channels {self.channels} must be a multiple of groups {self.groups}")
        return self

    def build(self, task: Task) -> nn.Module:
        from lowvision_sr.carn import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            groups=self.groups,
            batch_norm=self.batch_norm,
            fusion_bias=self.fusion_bias,
            mean=self.mean,
            skip=self.skip,
        )

    def exits(self) -> int:
        return self.layers

    def reach(self, task: Task) -> int:
        # Entry; three times two 3x3 convolutions per block; exit, and the upsampler before it if scale > 1.
        return 1 + 6 * self.layers + (1 if task.scale == 1 else 2)


class SRResNet(Backbone):
    """Residual blocks without BatchNorm (MSRResNet; after Ledig et al., CVPR 2017)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=1)
    """Feature channels."""
    layers: int = Field(default=16, ge=1)
    """Number of residual blocks."""
    skip: Skip = "bilinear"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_sr.srresnet import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            skip=self.skip,
        )

    def exits(self) -> int:
        return self.layers

    def reach(self, task: Task) -> int:
        # First convolution; two per block; tail: the upsampler, then two convolutions at full size.
        return 1 + 2 * self.layers + 2


class RCAN(Backbone):
    """Residual groups of channel-attention blocks (Zhang et al., ECCV 2018)."""

    scales: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

    channels: int = Field(default=64, ge=1)
    """Feature channels."""
    layers: int = Field(default=10, ge=1)
    """Number of residual groups."""
    blocks: int = Field(default=20, ge=1)
    """Channel-attention blocks per group."""
    reduction: int = Field(default=16, ge=1)
    """Channel reduction of the attention; its hidden width is `channels` // `reduction`, at least 1."""
    mean: Colour = DIV2K_MEAN
    """Mean colour, subtracted from the input and added to the output; grey images use its average."""
    skip: Skip = "none"
    """Interpolation of the input that is added to the output."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_sr.rcan import Network

        return Network(
            colours=task.channels,
            scale=task.scale,
            channels=self.channels,
            layers=self.layers,
            blocks=self.blocks,
            reduction=self.reduction,
            mean=self.mean,
            skip=self.skip,
        )

    def exits(self) -> int:
        return self.layers

    def reach(self, task: Task) -> None:
        # Channel attention averages over the whole input.
        return None


class ClassSR(Format):
    """Files of the ClassSR authors' code: FSRCNN, CARN, MSRResNet or RCAN, single or as branches of a container."""

    scale: Literal[2, 3, 4] = 4
    """Scale of an FSRCNN, which its tensors do not determine; 4 in the authors' files."""
    white: float = Field(default=255.0, gt=0)
    """Value of white in the pixels that an RCAN was trained on: 255 in the authors' code, 1 in some other code."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from functools import partial

        from lowvision_sr.reference import carn, container, fsrcnn, rcan, srresnet

        detectors = (fsrcnn.detect, carn.detect, srresnet.detect, partial(rcan.detect, white=self.white))
        try:
            return container.recognise(state, self.scale, detectors)
        except KeyError as missing:
            raise ValueError(f"{missing.args[0]} is missing") from None


class CARNFile(Format):
    """CARN-M files of CARN's authors: one network with upsamplers for x2, x3 and x4 in one file."""

    scale: Literal[2, 3, 4] | None = None
    """Scale of the upsampler to load; required if the file has several."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_sr import carn_file

        try:
            return carn_file.recognise(state, self.scale)
        except KeyError as missing:
            raise ValueError(f"{missing.args[0]} is missing") from None


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {"sr": SuperResolution}


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"fsrcnn": FSRCNN, "carn": CARN, "srresnet": SRResNet, "rcan": RCAN}


@hookimpl
def lowvision_formats() -> Mapping[str, type[Format]]:
    return {"classsr": ClassSR, "carn_file": CARNFile}
