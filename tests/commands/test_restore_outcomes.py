"""Claims about the document and the text that sum up a restore."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from lowvision.commands.inputs import Input
from lowvision.commands.restore_outcomes import Done, Failed, Outcome, Skipped, document, text
from lowvision.commands.restore_request import RestoreOptions
from lowvision.inference import restorer
from lowvision.inference.restorer import Restorer
from lowvision.plugins import registry

KNOWN = registry.load()


def source(name: str) -> Input:
    return Input(Path(name), Path("out", name))


DONE = Done(source("a.png"), 40, 50, (3, 1), 10, 40, 0.5, 80, 100)


@pytest.fixture(scope="module")
def network(weights_file: Path) -> Restorer:
    return restorer.load(weights_file, device="cpu", runtime="torch", registry=KNOWN)


def summed(network: Restorer, *outcomes: Outcome, **options: Any) -> dict[str, Any]:
    return document(outcomes, network.architecture.task, KNOWN, RestoreOptions(**options), seconds=2.0)


def test_shares_and_costs_are_those_of_all_images(network: Restorer) -> None:
    total = summed(network, DONE, replace(DONE, tiles=(1, 3), cost=30))["total"]
    assert (total["restored"], total["shares"], total["share_of_base"]) == (2, [0.5, 0.5], 0.5)
    assert total["gmac"] == pytest.approx(40e-9)


def test_every_outcome_is_counted_once_in_its_list(network: Restorer) -> None:
    result = summed(network, Failed(source("b.png"), "is damaged"), Skipped(source("c.png")), DONE)
    assert [image["input"] for image in result["images"]] == ["a.png"]
    assert result["skipped"] == ["c.png"]
    assert result["failed"] == [{"input": "b.png", "reason": "is damaged"}]
    assert {result["total"][kind] for kind in ("restored", "skipped", "failed")} == {1}


def test_a_map_is_listed_only_if_it_was_drawn(network: Restorer) -> None:
    assert "map" not in summed(network, DONE)["images"][0]
    assert summed(network, DONE, draws_maps=True)["images"][0]["map"] == "out/a.map.png"


def test_without_a_restored_image_there_is_no_cost(network: Restorer) -> None:
    result = summed(network, Skipped(source("a.png")))
    assert "share_of_base" not in result["total"]
    assert text(result) == "0 restored, 1 skipped, 0 failed; 2.0 s"


def test_the_text_lists_totals_ignored_files_and_failures(network: Restorer) -> None:
    result = summed(network, DONE, Failed(source("b\x1b[31m.png"), "is\ndamaged"))
    result["ignored"] = {f".{name}": 2 for name in "abcdefg"}
    first, ignored, failed = text(result).splitlines()
    assert first == (
        "1 restored, 0 skipped, 1 failed; tiles by branch, cheapest first: 75% / 25%; cost 25% of the base on whole "
        "images; 2.0 s"
    )
    assert ignored == "14 other files in the folders were ignored: 2 .a, 2 .b, 2 .c, 2 .d, 2 .e, ..."
    assert failed.startswith("failed: b")
    assert "\x1b" not in failed


def test_the_document_names_the_task_as_a_recipe_does(network: Restorer) -> None:
    assert summed(network)["task"] == KNOWN.serialize(tiny.architecture().task)


def test_a_single_ignored_file_is_counted_in_the_singular(network: Restorer) -> None:
    result = summed(network, DONE)
    result["ignored"] = {".txt": 1}
    assert text(result).splitlines()[1] == "1 other file in the folders was ignored: 1 .txt"
