"""Claims about the document of a recipe."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lowvision.commands.show import names, page, request
from lowvision.errors import RecipeError, UsageError
from lowvision.plugins import registry

KNOWN = registry.load()


def show(argument: str, *changes: str, size: str | None = None, scale: int | None = None) -> dict[str, Any]:
    """Return the only document about a name."""
    (document,) = names.documents(argument, KNOWN, request.parse(changes, size, scale))
    return document


def test_a_recipe_is_described_with_networks_and_stages() -> None:
    document = show("sr_carn")
    assert (document["kind"], document["name"], document["task"]["sr"]["scale"]) == ("recipe", "sr_carn", 4)
    assert [branch["carn"]["channels"] for branch in document["branches"]] == [36, 52, 64]
    costs = [branch["multiply_adds"] for branch in document["branches"]]
    assert costs == sorted(costs)
    assert [stage["name"] for stage in document["stages"]][:3] == ["base", "rank", "branches"]
    assert document["stages"][0]["options"].items() >= {"steps": 200, "batch": 12}.items()
    assert set(document["data"]) == {"train", "valid", "test"}
    text = page.text([document])
    assert "branch 0    carn (channels 36, " in text
    assert f"{costs[0] / costs[-1]:.0%} of the base" in text
    assert re.search(
        r"base +Train the base, i\.e\. the network of the last branch, on all tiles\. +steps 200, batch 12", text
    )


def test_a_recipe_accepts_overrides_and_a_size() -> None:
    document = show("sr_fsrcnn", "reduce.channels=[8, 16]", "stages.joint=null", size="64x32")
    assert [branch["fsrcnn"]["channels"] for branch in document["branches"]] == [8, 16]
    assert document["size"] == [64, 32]
    assert "joint" not in [stage["name"] for stage in document["stages"]]
    with pytest.raises(RecipeError, match="unknown key"):
        show("sr_fsrcnn", "sede=3")
    with pytest.raises(
        UsageError, match="--scale applies only to backbones and classifiers; change the scale of a recipe"
    ):
        show("sr_fsrcnn", scale=2)
    with pytest.raises(RecipeError, match=r"none\.yml: no such file"):
        show("none.yml")
