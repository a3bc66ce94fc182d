"""A network is trained in one form and deployed in another: every stage uses the appropriate form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import nn

from lowvision.commands.show import names, page
from lowvision.commands.show.request import ShowRequest
from lowvision.inference import engines, trained_networks
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.models.deployment import training_file
from lowvision.pipeline import preflight
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.routing.cost import multiply_adds
from lowvision_efficient import SPAN
from lowvision_efficient.reparam import Conv3XC

KNOWN = registry.load()
SPANS = (
    "backbone={span: {channels: 6, layers: 2, form: branches, skip: bicubic}}",
    "reduce={channels: [3, 4, 6]}",
    "stages.calibrate={size: 48, points: 4}",
    "stages.joint.ema=null",
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return tiny.write_recipe(tmp_path_factory.mktemp("reparam"))


@pytest.fixture(scope="module")
def folder(recipe: Path) -> Path:
    folder = recipe.parent / "run"
    assert tiny.in_a_child(tiny.run, recipe, folder, *SPANS) == 0
    return folder


def architecture(path: Path) -> Architecture:
    return weights.read_header(path, KNOWN).architecture


def forms(path: Path) -> set[str]:
    return {branch.form for branch in architecture(path).branches}


@pytest.mark.parametrize("stage", ["base", "branches/0", "branches/2", "joint"])
@pytest.mark.parametrize("kept", ["best", "last"])
def test_a_training_stage_writes_both_forms_with_equal_outputs(folder: Path, stage: str, kept: str) -> None:
    path = folder / stage / f"{kept}.safetensors"
    assert (forms(path), forms(training_file(path))) == ({"plain"}, {"branches"})
    stored = architecture(path)
    load = weights.load_container if stored.classifier else weights.load_network
    tiles = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = load(path, stored, KNOWN).eval()(tiles)
        branched = load(training_file(path), architecture(training_file(path)), KNOWN).eval()(tiles)
    torch.testing.assert_close(plain, branched, atol=5e-5, rtol=0)


def test_untrained_networks_are_written_in_deployed_form_only(folder: Path) -> None:
    for name in ("classifier/best", "classifier/last", "calibrate/container"):
        path = folder / f"{name}.safetensors"
        assert forms(path) == {"plain"}
        assert not training_file(path).exists()


def test_later_stages_continue_the_training_form(folder: Path) -> None:
    base, branch, joint = (
        weights.load_network(path, architecture(path).only(-1), KNOWN)
        for path in (training_file(folder / stage / "last.safetensors") for stage in ("base", "branches/2", "joint"))
    )
    for earlier, later in ((base, branch), (branch, joint)):
        moved = [
            (before - after).abs().max().item()
            for before, after in zip(earlier.parameters(), later.parameters(), strict=True)
        ]
        assert 0 < max(moved) < 0.05  # four updates, not another start


def run_and_watch(recipe: Path, folder: Path) -> None:
    """Train the base; assert that validation measures networks in the deployed form only."""
    from lowvision.pipeline.stages import validation

    seen, measure = list[nn.Module](), validation._measure

    def watched(job: Any, restore: Any, *tiles: Any) -> tuple[float, float]:
        if isinstance(restore, nn.Module):
            seen.append(restore)
        return measure(job, restore, *tiles)

    validation._measure = watched
    others = ("calibrate", "joint", "classifier", "branches", "rank", "evaluate")
    tiny.run(recipe, folder, *SPANS[:2], *(f"stages.{stage}=null" for stage in others))
    assert len(seen) == 2
    assert not any(isinstance(module, Conv3XC) for network in seen for module in network.modules())


def test_validation_measures_the_deployed_form(recipe: Path) -> None:
    assert tiny.in_a_child(run_and_watch, recipe, recipe.parent / "base") == 0


def test_the_report_contains_the_cost_of_the_fused_form(folder: Path) -> None:
    (measured,) = json.loads((folder / "report.json").read_text())["sets"]
    (image,) = measured["images"]
    task = architecture(folder / "base" / "last.safetensors").task
    with torch.device("meta"):
        plain, branched = (
            SPAN(channels=6, layers=2, form=form, skip="bicubic").build(task) for form in ("plain", "branches")
        )
    shape = 1, 3, image["height"] // 2, image["width"] // 2
    assert image["base_whole"]["gmac"] * 1e9 == pytest.approx(multiply_adds(plain, shape))
    assert multiply_adds(branched, shape) > 3 * multiply_adds(plain, shape)


def test_a_file_of_the_training_form_is_restored_in_the_deployed_form(folder: Path) -> None:
    path = folder / "joint" / "last.safetensors"
    plain, branched = (trained_networks.read(file, KNOWN) for file in (path, training_file(path)))
    assert branched.architecture == plain.architecture
    assert engines.base_cost(branched.architecture, 32, 32) == engines.base_cost(plain.architecture, 32, 32)
    tiles = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        for mine, theirs in zip(branched.branches, plain.branches, strict=True):
            torch.testing.assert_close(mine.module()(tiles), theirs.module()(tiles), atol=1e-5, rtol=0)


def test_show_reports_both_forms(recipe: Path) -> None:
    (document,) = names.documents("span", KNOWN, ShowRequest(changes=("form=branches",)))
    (plain,) = names.documents("span", KNOWN, ShowRequest())
    assert {key: document["network"][key] for key in ("parameters", "multiply_adds", "reach")} == {
        key: plain["network"][key] for key in ("parameters", "multiply_adds", "reach")
    }
    assert document["network"]["training"]["parameters"] > 4 * plain["network"]["parameters"]
    assert "training" not in plain["network"]
    assert "; in training: 1,840,488 parameters, 1.89 G multiply-adds" in page.text([document])
    (branches,) = names.documents(str(recipe), KNOWN, ShowRequest(changes=SPANS))
    assert all("training" in branch for branch in branches["branches"])
    shares = [
        branch["multiply_adds"] / branches["branches"][-1]["multiply_adds"] for branch in branches["branches"][:2]
    ]
    assert all(f", {share:.0%} of the base" in page.text([branches]) for share in shares)


def test_branches_are_ordered_by_the_cost_of_their_deployed_forms(recipe: Path) -> None:
    narrow, wide = (
        f"{{span: {{channels: {n}, layers: 2, form: {form}}}}}" for n, form in ((4, "branches"), (6, "plain"))
    )
    listed = "branches=[{}, {}]"

    def check(*branches: str) -> None:
        only = [f"stages.{name}=null" for name in ("base", "rank", "branches", "classifier", "joint", "evaluate")]
        read = reading.read(recipe, KNOWN, ("backbone=null", "reduce=null", listed.format(*branches), *only))
        preflight.check(read, KNOWN)

    check(narrow, wide)  # in training the first costs more than the second
    with pytest.raises(Exception, match="list them in order of increasing cost"):
        check(wide, narrow)
