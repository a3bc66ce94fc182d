"""Claims about check_classifier: it accepts a correct classifier, and reports each kind of error with a way out."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from lowvision import Classifier, Task
from lowvision.testing import PlainTask, check_classifier


class Network(nn.Module):
    """A convolution, an average and a linear layer."""

    def __init__(self, colours: int, classes: int, fault: str):
        super().__init__()
        self.fault = fault
        self.features = nn.Sequential(nn.Conv2d(colours, 6, 4, stride=4), nn.ReLU())
        self.norm = nn.BatchNorm2d(6)
        self.last = nn.Linear(6 * 64 if fault == "one size" else 6, classes)

    def forward(self, lq: Tensor) -> Tensor:
        features = self.norm(self.features(lq))
        if self.fault == "one size":
            return self.last(features.flatten(1))
        logits = self.last(features.mean(dim=(2, 3)))
        if self.fault == "softmax":
            return logits.softmax(dim=1)
        if self.fault == "map":
            return logits[..., None, None]
        if self.fault == "batch":
            return logits - logits.mean(dim=0)
        return logits


class FaultyClassifier(Classifier):
    """A small classifier with the given fault."""

    fault: str = ""
    """In which."""

    def build(self, task: Task, classes: int) -> nn.Module:
        return Network(3 if self.fault == "RGB" else task.channels, 3 if self.fault == "three" else classes, self.fault)


class Brightness(Classifier):
    """Training-free: compares the mean with a fitted threshold."""

    trained: ClassVar[bool] = False

    kept: bool = True
    """True: the threshold is saved with the weights."""

    def build(self, task: Task, classes: int) -> nn.Module:
        return Threshold(classes, self.kept)

    def fit(self, network: Any, tiles: Tensor, psnr: Tensor) -> None:
        assert psnr.shape == (len(tiles), network.classes)
        network.threshold.copy_(tiles.std(dim=(1, 2, 3)).median())


class UndeclaredTrainingFree(Brightness):
    """Training-free without declaring it."""

    trained: ClassVar[bool] = True


class Threshold(nn.Module):
    """(B,C,h,w) -> (B,classes)"""

    def __init__(self, classes: int, kept: bool):
        super().__init__()
        self.classes = classes
        self.register_buffer("threshold", torch.zeros(()), persistent=kept)

    def forward(self, lq: Tensor) -> Tensor:
        distance = lq.mean(dim=(1, 2, 3)) - self.threshold
        return distance[:, None] * torch.arange(1, self.classes + 1, device=lq.device).to(lq.dtype)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (FaultyClassifier(fault="RGB"), "1 colours: an input of .* raises RuntimeError"),
        (FaultyClassifier(fault="three"), r"for 2 classes, .* gives \(4, 3\) instead of \(4, 2\)"),
        (FaultyClassifier(fault="map"), r"gives \(4, 2, 1, 1\) instead of \(4, 2\)"),
        (FaultyClassifier(fault="one size"), r"\(4, 3, 16, 16\).* raises RuntimeError"),
        (FaultyClassifier(fault="softmax"), "return logits, the container applies the softmax"),
        (FaultyClassifier(fault="batch"), "depends on the others in its batch"),
        (Brightness(kept=False), r"not in state_dict\(\)"),
        (UndeclaredTrainingFree(), "has no trainable parameters; set trained"),
    ],
    ids=repr,
)
def test_an_invalid_classifier_is_reported_with_a_remedy(wrong: Classifier, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_classifier(wrong, exportable=False)


@pytest.mark.parametrize("right", [FaultyClassifier(), Brightness()], ids=repr)
def test_a_valid_classifier_passes(right: Classifier) -> None:
    check_classifier(right, exportable=False)


def test_only_the_given_sizes_and_tasks_are_checked() -> None:
    check_classifier(FaultyClassifier(fault="one size"), sizes=[(32, 32)], exportable=False)
    check_classifier(FaultyClassifier(fault="RGB"), tasks=[PlainTask(scale=4)], exportable=False)
