"""The structure of a network on the meta device is that of a real build, and takes no initial values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lowvision.plugins import registry
from lowvision.system import meta_device

KNOWN = registry.load()


def shapes(network: nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("name", ["fsrcnn", "carn", "rcan", "span"])
def test_the_structure_is_that_of_a_real_build(name: str) -> None:
    options = {"layers": 1} if name in ("carn", "rcan") else {}
    backbone, task = KNOWN.find("backbones", name).component(**options), KNOWN.find("tasks", "sr").component(scale=2)
    with meta_device.structure_only():
        structure = backbone.build(task)
    assert all(tensor.is_meta for tensor in structure.state_dict().values())
    assert shapes(structure) == shapes(backbone.build(task))


def test_no_initialiser_computes_and_no_random_number_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with meta_device.structure_only():
        layer = nn.Linear(3, 4)
        assert nn.init.kaiming_normal_(layer.weight) is layer.weight
        assert nn.init.zeros_(tensor=layer.bias) is layer.bias
        assert isinstance(layer.weight.data.normal_(), Tensor)
    assert torch.equal(torch.rand(2), expected)


def test_tensors_with_values_are_initialised_as_ever() -> None:
    with meta_device.structure_only():
        real = torch.zeros(2, device="cpu")
        nn.init.constant_(real, 5)
        assert real.tolist() == [5, 5]
    with torch.device("cpu"):
        assert nn.Linear(2, 2).weight.abs().sum() > 0
