"""Claims about lowvision-reducers."""

from __future__ import annotations

import re
import sys
from subprocess import check_output
from typing import Any

import pytest
from pydantic import Field
from torch import nn

from lowvision import Backbone, Reducer, Task
from lowvision_denoise import DnCNN
from lowvision_reducers import Channels, Layers
from lowvision_sr import CARN, FSRCNN, RCAN, SRResNet


class Knobless(Backbone):
    """A stranger's backbone that calls its width something else."""

    width: int = Field(default=8, ge=1)

    def build(self, task: Task) -> nn.Module:
        return nn.Identity()

    def reach(self, task: Task) -> int:
        return 0


@pytest.mark.parametrize("backbone", [FSRCNN(skip="bicubic"), CARN(), SRResNet(), RCAN(blocks=3), DnCNN()], ids=repr)
@pytest.mark.parametrize(("reducer", "knob", "level"), [(Channels(), "channels", 16), (Layers(), "layers", 2)])
def test_one_knob_turns_and_everything_else_stays(backbone: Backbone, reducer: Reducer, knob: str, level: int) -> None:
    smaller = reducer.reduce(backbone, level)
    assert type(smaller) is type(backbone)
    assert dict(smaller) == {**dict(backbone), knob: level}


def test_channels_and_layers_compose() -> None:
    assert Layers().reduce(Channels().reduce(SRResNet(), 38), 12) == SRResNet(channels=38, layers=12)


@pytest.mark.parametrize(("reducer", "level"), [(Channels(), 64), (Layers(), 3)])
def test_the_present_level_is_the_backbone_itself(reducer: Reducer, level: int) -> None:
    assert reducer.reduce(CARN(), level) == CARN()


@pytest.mark.parametrize(
    ("reducer", "backbone", "level", "message"),
    [
        (Channels(), Knobless(), 4, "Knobless has no option 'channels' to turn down; its options are width"),
        (Layers(), Knobless(), 4, "Knobless has no option 'layers' to turn down; its options are width"),
        (Channels(), CARN(), 128, "CARN has 64 channels, not 128; a reducer only makes smaller"),
        (Layers(), DnCNN(), 18, "DnCNN has 17 layers, not 18; a reducer only makes smaller"),
        (Channels(), CARN(), 0, "give a whole number of channels, at least 1, not 0"),
        (Channels(), CARN(), -4, "give a whole number of channels, at least 1, not -4"),
        (Channels(), CARN(), 36.0, "give a whole number of channels, at least 1, not 36.0"),
        (Channels(), CARN(), "half", "give a whole number of channels, at least 1, not 'half'"),
        (Layers(), CARN(), True, "give a whole number of layers, at least 1, not True"),
        (Channels(), CARN(), 38, "channels 38 must be a multiple of groups 4"),
        (Layers(), DnCNN(), 1, "greater than or equal to 2"),
    ],
)
def test_what_cannot_be_reduced_is_told(reducer: Reducer, backbone: Backbone, level: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        reducer.reduce(backbone, level)


def test_listing_the_plugin_needs_no_torch() -> None:
    program = "import sys, lowvision_reducers as r; r.lowvision_reducers(); r.Channels(); print('torch' in sys.modules)"
    assert check_output([sys.executable, "-c", program], text=True).strip() == "False"
