"""Claims about the grammar of a choice."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import toys
from pydantic import ValidationError

from lowvision.config.options import Options
from lowvision.config.validation import from_error
from lowvision.plugins.choice import Choice, choices_of, choose
from lowvision.plugins.contracts import Backbone


class Holder(Options):
    net: Annotated[Backbone, Choice("backbones")]


@pytest.mark.parametrize("value", ["net", {"net": {}}, {"net": None}, {"net": {"channels": 64}}])
def test_a_choice_is_a_name_or_a_name_with_its_options(value: Any) -> None:
    assert choose("backbones", value, toys.registry()) == toys.Net(channels=64)


def test_an_options_model_is_accepted_as_choice() -> None:
    net = toys.Net(layers=2)
    assert Holder.model_validate({"net": net}).net is net


@pytest.mark.parametrize("value", [None, 3, {}, {"net": {}, "halves": {}}, ("net",)])
def test_other_values_are_not_choices(value: Any) -> None:
    with pytest.raises(ValueError, match="must be one name, or one name with its options, not"):
        choose("backbones", value, toys.registry())


def test_errors_are_located_below_the_component_name() -> None:
    value = {"net": {"channels": 0, "skip": 3}}
    with pytest.raises(ValidationError) as caught:
        choose("backbones", value, toys.registry())
    errors = from_error(caught.value, Options, value)
    assert [complaint.path for complaint in errors] == [("net", "channels"), ("net", "skip")]


def test_a_choice_is_dumped_with_all_options_and_read_back() -> None:
    registry = toys.registry()
    holder = Holder(net=toys.Net(layers=2))
    serialize = holder.model_dump(context=registry)
    assert serialize == {"net": {"net": {"channels": 64, "layers": 2, "groups": 4, "skip": "none"}}}
    assert Holder.model_validate(serialize, context=registry) == holder


def test_options_that_are_choices_are_listed_with_their_kinds() -> None:
    assert choices_of(Holder) == {"net": "backbones"}
    assert choices_of(toys.Net) == {}
