"""Claims about documents of `lowvision show` as text."""

from __future__ import annotations

from typing import Any

import pytest

from lowvision.commands.show import page

BASE: dict[str, Any] = {"carn": {"channels": 64}, "parameters": 1_592_000, "multiply_adds": 1_500_000_000, "reach": 9}
SMALL: dict[str, Any] = {"carn": {"channels": 36}, "parameters": 300_000, "multiply_adds": 300_000_000, "reach": None}


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (BASE, "1,592,000 parameters, 1.50 G multiply-adds, receptive field: 9 px around"),
        (SMALL, "300,000 parameters, 300.00 M multiply-adds, receptive field: the whole input"),
        ({"problem": "has a required option"}, "has a required option"),
        (
            {"parameters": 1, "multiply_adds": 10**9, "theoretical_multiply_adds": 5 * 10**8},
            "1 parameters, 1.00 G multiply-adds (without masked weights, in theory: 500.00 M)",
        ),
        (
            {
                "parameters": 1,
                "multiply_adds": 10**6,
                "training": {"parameters": 2, "multiply_adds": 10**7, "reach": 1},
            },
            "1 parameters, 1.00 M multiply-adds; in training: 2 parameters, 10.00 M multiply-adds",
        ),
    ],
)
def test_a_cost_is_printed_with_what_is_known(network: dict[str, Any], text: str) -> None:
    assert page.cost(network) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"size": 32, "overlap": 4}, "size 32, overlap 4"),
        ({"loss": {"l1": {"weight": 1.0}}}, "loss (l1 (weight 1))"),
        ({"path": "/a b"}, "path /a b"),
        ({"empty": {}}, "empty"),
        ([1, 2.5, None, True, "x"], "[1, 2.5, none, true, x]"),
        (0.123456789, "0.12346"),
        (None, "none"),
    ],
)
def test_values_are_printed_without_the_marks_of_json(value: Any, text: str) -> None:
    assert page.serialize(value) == text


def test_a_component_is_named_with_its_options() -> None:
    assert page.named({"carn": {"channels": 36}}) == "carn (channels 36)"
    assert page.named({"rank": {}}) == "rank"


def recipe(**more: Any) -> dict[str, Any]:
    return {
        "kind": "recipe",
        "name": "r",
        "about": "A recipe.\nOf two lines.",
        "file": "r.yml",
        "task": {"sr": {"scale": 2}},
        "branches": [SMALL, BASE],
        "classifier": {"class_module": {}, "parameters": 1000, "multiply_adds": 10**6},
        "tile": {"size": 32, "overlap": 4},
        "size": [32, 48],
        **more,
    }


def test_branches_state_their_share_of_the_base_and_the_base_does_not() -> None:
    lines = page.text([recipe()]).splitlines()
    (small,) = (line for line in lines if line.startswith("  branch 0"))
    (base,) = (line for line in lines if line.startswith("  branch 1"))
    assert small.endswith(", 20% of the base")
    assert "of the base" not in base
    assert any(line.endswith("costs are for an input of 32x48") for line in lines)


def test_the_share_of_a_very_small_branch_is_not_rounded_to_zero() -> None:
    small = {**SMALL, "multiply_adds": BASE["multiply_adds"] // 200}
    assert ", 0.5% of the base" in page.text([recipe(branches=[small, BASE])])


def test_a_long_option_of_a_branch_is_cut() -> None:
    packed = {**SMALL, "spandrel": {"layout": "abc" * 40}}
    del packed["carn"]
    text = page.text([recipe(branches=[packed, BASE])])
    assert "spandrel (layout abcabcabcabc...)" in text


CURVE = {"psnr": 30.5, "curve/k": (1.0, -1.0), "curve/share_of_base_whole": (0.1, 1.25)}


def test_only_what_a_document_holds_is_printed() -> None:
    text = page.text([recipe(measured={}, provenance={"license": "Apache-2.0", "origin": ""})])
    assert "license" in text
    assert "origin" not in text
    assert "measured" not in text
    weights = page.text([recipe(kind="weights file", holds="container", bytes=3 * 2**20, measured={"psnr": 30.5})])
    assert weights.startswith("r: a weights file that holds a container\n")
    assert "r.yml (3.0 MiB)" in weights
    assert "psnr 30.5" in weights


def test_shares_are_printed_as_percentages_by_branch() -> None:
    lines = page.text([recipe(measured={"psnr": 30.5, "shares": (0.046875, 0.953125)})]).splitlines()
    assert any(" ".join(line.split()).startswith("shares 5% / 95% of the validation tiles") for line in lines)
    assert any(line.endswith("psnr 30.5") for line in lines)


def test_a_curve_is_printed_as_loss_and_cost() -> None:
    curve = {"loss": (0.251, 0.0), "share_of_base_whole": (0.1, 1.25), "speeds": {"fast": 0.1, "best": 1.25}}
    text = page.text([recipe(measured=CURVE, curve=curve)])
    assert "psnr 30.5\n" in text
    assert "curve/" not in text
    assert "dB lost at a share of the base's cost on the whole image: 0.25 at 10%, 0 at 125%" in text
    assert "fast 10% of the base, best 125% of the base" in text


def option(**changes: Any) -> dict[str, Any]:
    return {"name": "channels", "type": "whole number", "required": False, "default": 8, "about": "Width.", **changes}


@pytest.mark.parametrize(
    ("changes", "shown"),
    [({}, "8"), ({"required": True}, "required"), ({"default": None}, "absent"), ({"default": [1, 2]}, "[1, 2]")],
)
def test_an_option_shows_its_default_or_that_it_is_required(changes: dict[str, Any], shown: str) -> None:
    about = {"kind": "backbone", "plural": "backbones", "name": "net", "about": "A net.", "properties": {}}
    owner = {"plugin": "acme", "distribution": "acme-nets", "version": ""}
    text = page.text([{**about, **owner, "options": [option(**changes)]}])
    assert text.splitlines()[0] == "net: a backbone of acme (acme-nets)"
    assert f"channels  whole number  {shown}  Width." in text


def test_documents_are_separated_by_an_empty_line() -> None:
    assert page.text([recipe(), recipe()]).count("\n\nr: a recipe") == 1


@pytest.mark.parametrize(("scales", "shown"), [(None, "any"), ((2, 3), "[2, 3]")])
def test_a_backbone_without_listed_scales_supports_any(scales: Any, shown: str) -> None:
    document: dict[str, Any] = {"kind": "backbone", "plural": "backbones", "name": "plain", "about": ""}
    document |= {"plugin": "lowvision-plain", "distribution": "lowvision-plain", "version": "1"}
    document |= {"options": [], "properties": {"scales": scales}}
    assert " ".join(page.text([document]).splitlines()[-1].split()) == f"scales {shown}"
