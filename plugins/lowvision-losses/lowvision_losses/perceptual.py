"""The perceptual loss: a distance between features that a classification network of timm computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from lowvision import Loss, Task

if TYPE_CHECKING:
    from torch import nn


class Perceptual(Loss):
    """L1 between features of a timm network (Johnson et al. 2016), whose weights you give as a file."""

    model: str = "vgg19"
    """Name of the network in timm, one with `features_only`, e.g. `vgg19`, `resnet50`, `convnext_tiny`."""
    file: str
    """File with its weights, .safetensors or .pth, as timm or torchvision publish them; nothing is downloaded."""
    stages: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    """Numbers of the feature maps to compare, in timm's `features_only` order."""
    stage_weights: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Weight of each feature map; null: equal weights that sum to 1."""

    def build(self, task: Task) -> nn.Module:
        from lowvision_losses import features

        weights = self.stage_weights or (1 / len(self.stages),) * len(self.stages)
        if len(weights) != len(self.stages):
            raise ValueError(
                f"perceptual: {len(weights)} stage_weights for {len(self.stages)} stages; give one for each"
            )
        extractor = features.extractor(self.model, Path(self.file).expanduser(), self.stages)
        return features.Distance(extractor, weights)
