"""Claims about the contract of trained networks: forms that a network does not have."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from lowvision.errors import WeightsError
from lowvision.plugins.trained import Trained


class Plain(Trained):
    """A network without other forms."""

    def module(self) -> nn.Module:
        return nn.Identity()

    def onnx(self) -> Path:
        return Path("network.onnx")


def test_without_other_forms_the_network_itself_is_used() -> None:
    network = Plain()
    assert isinstance(network.folded(), nn.Identity)
    assert network.unfolded() is network


def test_a_network_without_files_of_ncnn_names_the_way_out() -> None:
    with pytest.raises(WeightsError, match="cannot be exported to ncnn; use another runtime"):
        Plain().ncnn()
