"""Claims about the deployed form of trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lowvision import Backbone, Task
from lowvision.errors import WeightsError
from lowvision.models.architecture import Architecture
from lowvision.models.deployment import deployed, training_file
from lowvision.plugins import registry
from lowvision.routing.cost import multiply_adds
from lowvision.testing import PlainTask
from lowvision_efficient import SPAN
from lowvision_efficient.reparam import Conv3XC

KNOWN = registry.load()


def test_deploying_draws_no_random_numbers_and_modifies_no_weights() -> None:
    span_architecture = Architecture.model_validate(
        {"task": {"sr": {"scale": 2}}, "branches": ({"span": {"channels": 4, "layers": 1, "form": "branches"}},)},
        context=KNOWN,
    )
    network = span_architecture.build()
    state = torch.random.get_rng_state()
    plain: Any = deployed(network, span_architecture)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(isinstance(module, Conv3XC) for module in plain.modules())
    assert any(isinstance(module, Conv3XC) for module in network.modules())
    assert deployed(plain, span_architecture.deployed()) is plain


def test_a_backbone_without_a_training_form_is_its_own_deployed_form() -> None:
    backbone: Backbone = SPAN()
    assert backbone.deployed() == backbone
    assert SPAN(form="branches").deployed() == backbone


def test_the_deployed_network_has_the_same_outputs_and_is_in_eval() -> None:
    torch.manual_seed(0)
    span = Architecture.model_validate(
        {"task": {"sr": {"scale": 2}}, "branches": ({"span": {"channels": 4, "layers": 1, "form": "branches"}},)},
        context=KNOWN,
    )
    trained = span.build()
    plain = deployed(trained.train(), span)
    assert not plain.training
    assert trained.training
    images = torch.rand(1, 3, 12, 10)
    with torch.no_grad():
        torch.testing.assert_close(plain(images), trained.eval()(images), rtol=1e-4, atol=1e-5)
    assert multiply_adds(plain, images.shape) < multiply_adds(trained, images.shape)


class Unlike(Backbone):
    """A backbone whose deployed form has other layers than its training form."""

    small: bool = False
    """The deployed form."""

    def build(self, task: Task) -> nn.Module:
        return nn.Conv2d(task.channels, task.channels, 1 if self.small else 3, padding=0 if self.small else 1)

    def reach(self, task: Task) -> int:
        return 0 if self.small else 1

    def fuse(self) -> Unlike:
        return self.replace(small=True)


def test_forms_with_other_layers_are_an_error_that_names_the_check() -> None:
    architecture = Architecture(task=PlainTask(), branches=(Unlike(),))
    with pytest.raises(WeightsError, match=r"cannot be fused .*; check the backbone with lowvision\.testing"):
        deployed(architecture.build(), architecture)


def test_the_training_form_stands_next_to_the_deployed_one() -> None:
    assert training_file(Path("runs/a.b/last.safetensors")) == Path("runs/a.b/last.training.safetensors")
