"""Classifiers: the paper's Class-Module, and any model of timm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lowvision import Classifier, Task, hookimpl

if TYPE_CHECKING:
    from torch import nn


class ClassModule(Classifier):
    """The paper's classifier: sees 4x4 blocks one by one and averages what it thinks of them (Kong et al. 2021)."""

    gain: float = Field(default=0.1, gt=0)
    """What Kaiming's initial weights are multiplied by; the paper's code takes 0.1."""

    def build(self, task: Task, classes: int) -> nn.Module:
        from lowvision_classifiers.class_module import Network

        return Network(colours=task.channels, classes=classes, gain=self.gain)


class Timm(Classifier):
    """A model of timm (PyTorch Image Models), from fresh weights, on images as they are in [0,1]."""

    model: str = "resnet10t"
    """Its name in timm; one that takes inputs of any size, as convolutional models do."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """The share of features dropped before the last layer, in training."""
    drop_path: float | None = Field(default=None, ge=0, lt=1)
    """The share of residual branches dropped in training; absent: the model's own."""
    output_stride: Literal[8, 16, 32] | None = None
    """How many times smaller its last feature map is; absent: the model's own, mostly 32."""

    def build(self, task: Task, classes: int) -> nn.Module:
        from lowvision_classifiers.timm_model import create

        return create(
            self.model,
            colours=task.channels,
            classes=classes,
            dropout=self.dropout,
            drop_path=self.drop_path,
            output_stride=self.output_stride,
        )


@hookimpl
def lowvision_classifiers() -> Mapping[str, type[Classifier]]:
    return {"class_module": ClassModule, "timm": Timm}
