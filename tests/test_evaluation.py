"""Claims about measuring a container at budgets, and beside what other classifiers make of its cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny

from lowvision import registry
from lowvision.errors import UsageError
from lowvision.evaluate import evaluate
from lowvision.folders import Folder

RIVALS = ("high_frequency", "edge_table", "oracle")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    tiny.write_photographs(folder)
    return folder


@pytest.fixture(scope="module")
def document(photos) -> dict[str, Any]:
    path = tiny.write_weights(photos / "container.safetensors", tiny.architecture())
    sets = {"seen": Folder(path=str(photos / "valid"))}
    fit_on = Folder(path=str(photos / "train"))
    return evaluate(path, sets, registry.load(), None, "cpu", (1.0, 3.0), fit_on)


def test_rivals_spend_no_more_than_the_classifiers_own_choice(document):
    (row,) = document["sets"][0]["images"]
    for way in RIVALS:
        assert row[way]["gmac"] <= max(row["routed"]["gmac"], row["branch_0"]["gmac"] * 1.01)
        assert sum(row[way]["shares"]) == pytest.approx(1)


def test_no_choice_is_better_than_the_oracles(document):
    # Random weights, and so little cost that both are the cheapest branch, would make this empty: shares tell.
    (row,) = document["sets"][0]["images"]
    psnr = {way: row[way]["psnr_rgb@crop2"] for way in (*RIVALS, "routed", "random")}
    assert all(psnr["oracle"] >= value - 2e-3 for way, value in psnr.items() if way != "oracle"), psnr


def test_the_report_says_what_rivals_are_and_keeps_its_schema(document):
    assert document["schema"] == 1
    assert set(document["classifiers"]) >= {"high_frequency", "edge_table"}
    assert "blur" in document["classifiers"]["high_frequency"]


def test_a_budget_is_kept_and_a_larger_one_used(document):
    (row,) = document["sets"][0]["images"]
    assert row["routed@3"]["share_of_base_whole"] <= 3
    assert row["routed@1"]["gmac"] < row["routed@3"]["gmac"]


def test_without_being_asked_nothing_is_compared(photos):
    path = tiny.write_weights(photos / "again.safetensors", tiny.architecture())
    found = evaluate(path, {"seen": Folder(path=str(photos / "valid"))}, registry.load(), None, "cpu")
    assert not {*RIVALS, "routed@1"} & set(found["sets"][0]["mean"])
    assert "classifiers" not in found


def test_a_single_network_cannot_be_asked_to_route(photos):
    path = tiny.write_weights(photos / "single.safetensors", tiny.architecture().only(0))
    with pytest.raises(UsageError, match="a single network has nothing to route"):
        evaluate(path, {}, registry.load(), None, "cpu", (0.5,))
