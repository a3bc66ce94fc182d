"""Claims about lowvision-classifiers."""

from __future__ import annotations

import sys
from subprocess import check_output
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from lowvision import Classifier, RecipeError, Task
from lowvision.routing.cost import multiply_adds, parameters
from lowvision_classifiers import ClassModule, Timm

TILE = (1, 3, 32, 32)


class AnyTask(Task):
    """A task with nothing to degrade."""

    def degrade(self, gt: Tensor, generator: torch.Generator) -> Tensor:
        return gt

    def baseline(self, lq: Tensor) -> Tensor:
        return lq


def test_the_class_module_is_the_papers() -> None:
    network = ClassModule().build(AnyTask(), 3)
    assert parameters(network) == 60_035
    assert round(multiply_adds(network, TILE) / 1e6, 2) == 3.80


@pytest.mark.parametrize("classifier", [ClassModule(), Timm(), Timm(model="mobilenetv3_small_050")], ids=repr)
@pytest.mark.parametrize(("channels", "classes"), [(3, 2), (3, 3), (1, 5)])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)], ids=str)
def test_a_tile_becomes_one_logit_a_class(
    classifier: Classifier, channels: Any, classes: int, size: tuple[int, int]
) -> None:
    network = classifier.build(AnyTask(channels=channels), classes)
    assert network(torch.rand(2, channels, *size)).shape == (2, classes)


def test_gradients_reach_every_parameter_of_the_class_module() -> None:
    # Not so in timm's residual networks: their branches start at zero.
    torch.manual_seed(0)
    network = ClassModule().build(AnyTask(), 3)
    torch.nn.functional.cross_entropy(network(torch.rand(4, 3, 32, 32)), torch.tensor([0, 1, 2, 2])).backward()
    lost = [key for key, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]  # type: ignore[union-attr]  # None would be an error as well
    assert lost == []


@pytest.mark.parametrize("classifier", [ClassModule(), Timm()], ids=repr)
def test_channels_last_gives_the_same_output(classifier: Classifier) -> None:
    network = classifier.build(AnyTask(), 3).double().eval()
    tiles = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        plain = network(tiles)
        last = network.to(memory_format=torch.channels_last)(tiles.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, plain)


def test_the_class_module_starts_undecided() -> None:
    # Every tile gets nearly the same logits: nothing pulls to one branch yet.
    torch.manual_seed(0)
    with torch.no_grad():
        logits = ClassModule().build(AnyTask(), 3)(torch.rand(16, 3, 32, 32))
    assert logits.std(dim=0).max() < 1e-3


def test_gain_scales_every_convolution_of_the_class_module() -> None:
    networks = []
    for gain in (0.1, 1.0):
        torch.manual_seed(0)
        networks.append(ClassModule(gain=gain).build(AnyTask(), 3).state_dict())
    quiet, loud = networks
    torch.testing.assert_close(10 * quiet["features.0.weight"], loud["features.0.weight"])
    assert torch.equal(quiet["last.weight"], loud["last.weight"])


def test_timm_gets_the_options_that_were_given() -> None:
    coarse = Timm(dropout=0.5, drop_path=0.1, output_stride=8).build(AnyTask(), 3)
    assert coarse.forward_features(torch.rand(2, 3, 32, 32)).shape[-2:] == (4, 4)  # type: ignore[operator]  # every timm model has it
    assert coarse.drop_rate == 0.5


def test_an_unknown_model_is_told_with_its_nearest_names() -> None:
    with pytest.raises(RecipeError, match=r"timm has no model named 'resnet10'; did you mean .*resnet10t"):
        Timm(model="resnet10").build(AnyTask(), 3)


@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"output_stride": 4}, {"pretrained": True}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Timm(**options)


def test_listing_the_plugin_needs_neither_torch_nor_timm() -> None:
    program = (
        "import sys, lowvision_classifiers as c; c.lowvision_classifiers(); c.Timm(model='anything');"
        "print({'torch', 'timm'} & set(sys.modules))"
    )
    assert check_output([sys.executable, "-c", program], text=True).strip() == "set()"
