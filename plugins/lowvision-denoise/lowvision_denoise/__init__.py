"""Gaussian denoising: the task, the network DnCNN, and a reader for KAIR's DnCNN files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from lowvision import Backbone, Format, Recognised, Task, hookimpl

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

Sigma = Annotated[float, Field(ge=0, le=255)]
"""A standard deviation in units of 8-bit images, 0..255."""


class Denoising(Task):
    """Undo additive white Gaussian noise, drawn per tile and not clipped."""

    random: ClassVar[bool] = True

    scale: Literal[1] = 1
    """Upsampling factor: always 1."""
    sigma: Sigma | tuple[Sigma, Sigma] = 25.0
    """Standard deviation of the noise, 0..255; a pair [low, high] is drawn from uniformly, per tile."""

    @field_validator("sigma")
    @classmethod
    def _pair_ascends(cls, sigma: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(sigma, tuple) and sigma[0] > sigma[1]:
            raise ValueError(f"sigma must ascend, e.g. [5, 50]; got {list(sigma)}")
        return sigma

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """Add noise; the result is not clipped to [0,1], since clipping would make the noise depend on the image."""
        import torch

        noise = torch.randn(gt.shape, generator=generator, dtype=gt.dtype)
        return gt + noise.to(gt.device) * (self._strength(generator) / 255)

    def _strength(self, generator: Generator) -> float:
        if not isinstance(self.sigma, tuple):
            return self.sigma
        import torch

        low, high = self.sigma
        return low + (high - low) * torch.rand((), generator=generator).item()


class DnCNN(Backbone):
    """A plain stack of convolutions that predicts the noise (Zhang et al., IEEE TIP 2017)."""

    scales: ClassVar[tuple[int, ...]] = (1,)

    channels: int = Field(default=64, ge=1)
    """Feature channels."""
    layers: int = Field(default=17, ge=2)
    """Total number of convolutions."""
    batch_norm: bool = False
    """Add BatchNorm after every inner convolution, as in the paper; routing makes its batches small and skewed."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_denoise.dncnn import Network

        return Network(
            colours=task.channels,
            channels=self.channels,
            layers=self.layers,
            batch_norm=self.batch_norm,
        )

    def exits(self) -> int:
        # One exit per inner convolution.
        return self.layers - 2

    def reach(self, task: Task) -> int:
        # One pixel per 3x3 convolution.
        return self.layers


class DnCNNFile(Format):
    """DnCNN files of KAIR, with BatchNorm merged into the convolutions."""

    sigma: Sigma | tuple[Sigma, Sigma] = 25.0
    """Noise that the network was trained on, 0..255, which its tensors do not determine; a pair for a blind network."""

    def recognise(self, state: Mapping[str, Tensor]) -> Recognised | None:
        from lowvision_denoise import kair

        return kair.recognise(state, self.sigma)


@hookimpl
def lowvision_tasks() -> Mapping[str, type[Task]]:
    return {"denoise": Denoising}


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"dncnn": DnCNN}


@hookimpl
def lowvision_formats() -> Mapping[str, type[Format]]:
    return {"dncnn_file": DnCNNFile}
