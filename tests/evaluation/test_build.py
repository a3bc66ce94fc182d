"""Claims about the comparison of classifiers and the budgets of an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny

from lowvision.commands.evaluate import evaluate
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder

COMPARED = ("high_frequency", "edge_table", "oracle")


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


def test_compared_classifiers_cost_at_most_the_choice_of_the_trained_classifier(document):
    (row,) = document["sets"][0]["images"]
    for row_name in COMPARED:
        assert row[row_name]["gmac"] <= max(row["routed"]["gmac"], row["branch_0"]["gmac"] * 1.01)
        assert sum(row[row_name]["shares"]) == pytest.approx(1)


def test_no_choice_beats_the_oracle(document):
    (row,) = document["sets"][0]["images"]
    # The claim would be empty if the cost of `routed` left the oracle no choice but one branch.
    assert min(row["oracle"]["shares"]) > 0
    assert row["oracle"]["psnr_rgb@crop2"] > row["routed"]["psnr_rgb@crop2"]
    psnr = {row_name: row[row_name]["psnr_rgb@crop2"] for row_name in (*COMPARED, "routed", "random")}
    assert all(psnr["oracle"] >= value - 2e-3 for row_name, value in psnr.items() if row_name != "oracle"), psnr


def test_the_report_describes_the_compared_classifiers_and_keeps_its_schema(document):
    assert document["schema"] == 2
    assert set(document["classifiers"]) >= {"high_frequency", "edge_table"}
    assert "blur" in document["classifiers"]["high_frequency"]


def test_a_budget_is_not_exceeded_and_a_larger_budget_is_spent(document):
    (row,) = document["sets"][0]["images"]
    assert row["routed@3"]["share_of_base_whole"] <= 3
    assert row["routed@1"]["gmac"] < row["routed@3"]["gmac"]
