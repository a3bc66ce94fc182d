"""A wrapper backbone has the scales, input sizes, reach and exits of the backbone that it wraps."""

from __future__ import annotations

from typing import Any

import pytest
import toys
from pydantic import ValidationError
from torch import nn

from lowvision import Backbone, Task, WrappedBackbone
from lowvision.plugins import registry
from lowvision.testing import PlainTask
from lowvision.testing.options import check_options
from lowvision_light import ESPCN
from lowvision_sr import CARN, FSRCNN

KNOWN = registry.load()


class Sheath(WrappedBackbone):
    """Add a layer that changes nothing."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(self.of.build(task), nn.Identity())


@pytest.mark.parametrize(
    "backbone", [CARN(channels=8), FSRCNN(channels=8), ESPCN(), toys.Halves(channels=8), toys.Net(channels=8)]
)
def test_what_it_does_not_override_is_that_of_the_wrapped_backbone(backbone: Backbone) -> None:
    wrapper, task = Sheath(of=backbone), PlainTask(scale=2)
    assert wrapper.scales == backbone.scales
    assert wrapper.multiple_of == backbone.multiple_of
    assert wrapper.reach(task) == backbone.reach(task)
    assert wrapper.exits() == backbone.exits()


def test_a_method_that_it_overrides_counts() -> None:
    class Closed(Sheath):
        """Hide the exits."""

        def exits(self) -> int:
            return 0

    assert CARN(channels=8).exits() > 0
    assert Closed(of=CARN(channels=8)).exits() == 0


@pytest.mark.parametrize("choice", ["fsrcnn", {"fsrcnn": None}, {"fsrcnn": {"channels": 56}}])
def test_the_wrapped_backbone_is_written_like_any_choice(choice: Any) -> None:
    made = Sheath.model_validate({"of": choice}, context=KNOWN)
    assert made.of == FSRCNN(channels=56)
    assert made.model_dump(mode="json", context=KNOWN)["of"]["fsrcnn"]["channels"] == 56
    check_options(made)


def test_wrappers_can_be_wrapped() -> None:
    made = Sheath(of=Sheath(of=CARN(channels=8)))
    assert made.reach(PlainTask(scale=2)) == CARN(channels=8).reach(PlainTask(scale=2))
    assert made.replace(of=FSRCNN()).scales == FSRCNN().scales


def test_an_unknown_backbone_is_an_error() -> None:
    with pytest.raises(ValidationError, match="no backbone named 'fsrcn'; did you mean 'fsrcnn'"):
        Sheath.model_validate({"of": "fsrcn"}, context=KNOWN)


def test_the_base_class_itself_builds_nothing() -> None:
    with pytest.raises(TypeError, match="abstract"):
        WrappedBackbone(of=FSRCNN())


def test_a_wrapped_backbone_of_a_test_passes_its_check_without_a_plugin() -> None:
    check_options(Sheath(of=Sheath(of=toys.Net(channels=8))))
