"""Gaussian denoising: the task, DnCNN for it, and the files in which KAIR keeps that."""

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
    """Undo additive white Gaussian noise, drawn anew for every tile and not clipped."""

    random: ClassVar[bool] = True

    scale: Literal[1] = 1
    """The size stays."""
    sigma: Sigma | tuple[Sigma, Sigma] = 25.0
    """The noise's standard deviation in 0..255; a pair: drawn uniformly between the two, anew for every tile."""

    @field_validator("sigma")
    @classmethod
    def _pair_ascends(cls, sigma: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(sigma, tuple) and sigma[0] > sigma[1]:
            raise ValueError(f"sigma {list(sigma)} must go from the weaker noise to the stronger")
        return sigma

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        """The noisy image leaves [0,1] on both sides: clipping would make the noise depend on the image."""
        import torch

        noise = torch.randn(gt.shape, generator=generator, dtype=gt.dtype)
        return gt + noise.to(gt.device) * (self._strength(generator) / 255)

    def baseline(self, lq: Tensor) -> Tensor:
        """The noisy image itself."""
        return lq

    def _strength(self, generator: Generator) -> float:
        if not isinstance(self.sigma, tuple):
            return self.sigma
        import torch

        weakest, strongest = self.sigma
        return weakest + (strongest - weakest) * torch.rand((), generator=generator).item()


class DnCNN(Backbone):
    """A plain stack of convolutions that predicts the noise (Zhang et al., IEEE TIP 2017)."""

    scales: ClassVar[tuple[int, ...]] = (1,)

    channels: int = Field(default=64, ge=1)
    """Feature channels."""
    layers: int = Field(default=17, ge=2)
    """Convolutions in all."""
    batch_norm: bool = False
    """BatchNorm after every inner convolution, as in the paper; routing gives it small, skewed batches."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_denoise.dncnn import Network

        return Network(
            colours=task.channels,
            channels=self.channels,
            layers=self.layers,
            batch_norm=self.batch_norm,
        )

    def exits(self) -> int:
        # Its inner convolutions.
        return self.layers - 2

    def reach(self, task: Task) -> int:
        # One pixel a 3x3 convolution.
        return self.layers


class DnCNNFile(Format):
    """What KAIR writes of DnCNN, its BatchNorm merged into the convolutions."""

    sigma: Sigma | tuple[Sigma, Sigma] = 25.0
    """The noise that the network was trained on, in 0..255, which its tensors do not tell; a pair for a blind one."""

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
