"""Classifiers: the Class-Module of the ClassSR paper, any timm model, an error predictor, and two without training."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lowvision import Classifier, Task, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn


class ClassModule(Classifier):
    """The paper's classifier: 4x4 patches, 1x1 convolutions, an average over patches (Kong et al., CVPR 2021)."""

    gain: float = Field(default=0.1, gt=0)
    """Factor on the Kaiming initial weights; 0.1 in the paper's code."""

    def build(self, task: Task, classes: int) -> nn.Module:
        from lowvision_classifiers.class_module import Network

        return Network(colours=task.channels, classes=classes, gain=self.gain)


class Timm(Classifier):
    """A timm model (PyTorch Image Models) without pretrained weights; its input is in [0,1], not normalised."""

    model: str = "resnet10t"
    """Name of the model in timm; it must accept inputs of any size, as convolutional models do."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of features dropped before the last layer in training."""
    drop_path: float | None = Field(default=None, ge=0, lt=1)
    """Fraction of residual branches dropped in training; by default the model's own."""
    output_stride: Literal[8, 16, 32] | None = None
    """Downsampling factor of the last feature map; by default the model's own, usually 32."""

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


class HighFrequency(Classifier):
    """Training-free: the distance of a tile from its blurred copy, against thresholds (cf. the mask of AMSR, 2025)."""

    trained: ClassVar[bool] = False

    sigma: float = Field(default=1.0, gt=0, le=8)
    """Standard deviation of the Gaussian blur, in LQ pixels."""
    thresholds: tuple[float, ...] | None = None
    """Ascending thresholds between classes, as mean distance of pixels in [0,1]; by default fitted by `split`."""
    split: Literal["quantiles", "means"] = "quantiles"
    """Method that fits the thresholds: classes of equal size, or k-means of the logarithm of the distance."""

    @model_validator(mode="after")
    def _thresholds_ascend(self) -> Self:
        if any(a >= b for a, b in pairwise((0.0, *(self.thresholds or ()), 1.0))):
            raise ValueError(f"thresholds {list(self.thresholds or ())} must ascend and lie between 0 and 1")
        return self

    def build(self, task: Task, classes: int) -> nn.Module:
        from lowvision_classifiers.high_frequency import Network

        return Network(classes=classes, sigma=self.sigma, thresholds=self.thresholds)

    def fit(self, network: nn.Module, tiles: Tensor, psnr: Tensor) -> None:
        from lowvision_classifiers import high_frequency

        if self.thresholds is None:
            high_frequency.fit(network, tiles, self.split)


class EdgeTable(Classifier):
    """A table from a tile's edge strength to the error of each branch, without training (after ARM, ECCV 2022)."""

    trained: ClassVar[bool] = False
    predicts: ClassVar[Literal["class", "psnr", "error"]] = "error"

    bins: int = Field(default=16, ge=1)
    """Number of ranges of mean |Laplacian| in the table; each holds equally many tiles."""
    blur: float = Field(default=0.0, ge=0, le=8)
    """Sigma of a Gaussian blur before the Laplacian, in LQ pixels, so that noise does not count as edges."""

    def build(self, task: Task, classes: int) -> nn.Module:
        from lowvision import layers

        return layers.EdgeTable(ways=classes, bins=self.bins, blur=self.blur)

    def fit(self, network: nn.Module, tiles: Tensor, psnr: Tensor) -> None:
        from lowvision import layers

        assert isinstance(network, layers.EdgeTable)
        # Squared errors add up over the tiles of an image; a mean of decibels would overrate good tiles.
        network.fit(tiles, -(10 ** (-psnr.cpu().double() / 10)))  # on the CPU: MPS has no float64


class ErrorPredictor(Classifier):
    """A small regressor of the mean squared error that each branch leaves on a tile, for any number of branches."""

    predicts: ClassVar[Literal["class", "psnr", "error"]] = "error"

    channels: int = Field(default=24, ge=1)
    """Feature channels of its three convolutions, of which two have stride 2."""
    hidden: int = Field(default=64, ge=1)
    """Width of the linear layer between pooled features and predictions."""

    def build(self, task: Task, classes: int) -> nn.Module:
        from lowvision_classifiers.error_predictor import Network

        return Network(colours=task.channels, branches=classes, channels=self.channels, hidden=self.hidden)

    def fit(self, network: nn.Module, tiles: Tensor, psnr: Tensor) -> None:
        """Set mean and standard deviation of the predicted errors; the stage `classifier` trains the weights."""
        from lowvision_classifiers.error_predictor import Network

        assert isinstance(network, Network)
        network.fit(10 ** (-psnr.float() / 10))


@hookimpl
def lowvision_classifiers() -> Mapping[str, type[Classifier]]:
    return {
        "class_module": ClassModule,
        "timm": Timm,
        "high_frequency": HighFrequency,
        "edge_table": EdgeTable,
        "error_predictor": ErrorPredictor,
    }
