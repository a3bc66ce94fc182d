"""Claims about the stages of a recipe: their order, their defaults, and every issue of them at once."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
import toys
from pydantic import BaseModel, ValidationError

from lowvision.config.validation import from_error
from lowvision.models.header_json import with_tuples
from lowvision.recipe import stage_menu
from lowvision.recipe.stage_menu import Stages

TOYS = toys.registry()


class Holder(BaseModel):
    """A model with stages."""

    stages: Stages


def chosen(value: Any) -> Stages:
    return Holder.model_validate({"stages": value}, context=TOYS).stages


def issues(value: Any) -> Mapping[tuple[Any, ...], str]:
    with pytest.raises(ValidationError) as error:
        chosen(value)
    return {issue.path: issue.message for issue in from_error(error.value, Holder, {"stages": value})}


def test_stages_run_by_their_place_in_whatever_order_they_are_written() -> None:
    written = {"joint": {"steps": 5}, "base": {"steps": 5}, "rank": {}}
    names = list(chosen(written))
    places = [chosen(written)[name].place for name in names]
    assert places == sorted(places)
    assert names == [name for name in stage_menu.menu(TOYS) if name in names]


def test_a_default_stage_runs_unless_it_is_null_and_is_not_written() -> None:
    assert "evaluate" in chosen({})
    assert chosen({}).written == frozenset()
    assert "evaluate" not in chosen({"evaluate": None})
    assert chosen({"evaluate": None}).written == {"evaluate"}


def test_a_stage_of_the_menu_is_an_attribute_and_others_are_none() -> None:
    stages = chosen({"base": {"steps": 5}})
    assert stages.base.steps == 5
    assert stages.joint is None
    with pytest.raises(AttributeError, match="there is no stage 'bose'"):
        _ = stages.bose


def test_every_issue_is_reported_below_its_stage() -> None:
    found = issues({"base": {"steps": 0}, "bose": {}, "rank": 3})
    assert {path[:2] for path in found} == {("stages", "base"), ("stages", "bose"), ("stages", "rank")}
    assert "did you mean 'base'?" in found["stages", "bose"]
    assert ("stages", "base", "steps") in found


@pytest.mark.parametrize("value", [3, "base", ["base"], None])
def test_stages_of_another_kind_are_refused(value: Any) -> None:
    (message,) = issues(value).values()
    assert message.startswith("must be a mapping of stages to their options, not ")


def test_stages_survive_writing_copying_and_pickling() -> None:
    stages = chosen({"base": {"steps": 5}, "evaluate": None})
    written = Holder(stages=stages).model_dump(mode="json", context=TOYS)["stages"]
    assert written["evaluate"] is None
    assert chosen(with_tuples(written)) == stages
    for again in (copy.deepcopy(stages), pickle.loads(pickle.dumps(stages))):
        assert again == stages
        assert hash(again) == hash(stages)
        assert again.joint is None
