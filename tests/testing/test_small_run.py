"""Claims about the small run of the checks: its networks, its recipe, and its interruption."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.config import yaml_reader
from lowvision.imaging import io
from lowvision.recipe import reading
from lowvision.testing import small_run
from lowvision.testing.registration import MODULE
from lowvision.testing.small_run import FIT, NAME, CountingLoss, SmallBackbone, SmallClassifier
from lowvision.testing.subject import PlainTask
from lowvision.training import checkpoint

COLOUR = PlainTask(scale=2)


@settings(deadline=None, max_examples=40)
@given(scale=st.integers(1, 4), height=st.integers(1, 12), width=st.integers(1, 12))
def test_the_backbone_enlarges_any_image_by_the_scale(scale: int, height: int, width: int) -> None:
    network = SmallBackbone().build(PlainTask(scale=scale))
    assert network(torch.rand(2, 3, height, width)).shape == (2, 3, scale * height, scale * width)


def test_a_pixel_changes_the_output_of_the_backbone_within_its_reach_only() -> None:
    torch.manual_seed(0)
    network, image = SmallBackbone(channels=16).build(COLOUR), torch.rand(1, 3, 9, 9, requires_grad=True)
    network(image)[..., 8:10, 8:10].sum().backward()  # the output of pixel (4, 4)
    assert image.grad is not None
    rows, columns = image.grad[0].abs().sum(dim=0).nonzero(as_tuple=True)
    reach = SmallBackbone().reach(COLOUR)
    assert {*rows.tolist()} == {*columns.tolist()} == {*range(4 - reach, 5 + reach)}


@pytest.mark.parametrize("classes", [1, 3])
def test_the_classifier_scores_a_tile_by_its_mean_colour(classes: int) -> None:
    network, tiles = SmallClassifier().build(COLOUR, classes), torch.rand(3, 3, 8, 8)
    means = tiles.mean(dim=(2, 3), keepdim=True).expand_as(tiles)
    assert network(tiles).shape == (3, classes)
    torch.testing.assert_close(network(tiles), network(means))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 4))
def test_the_loss_is_l1_and_counts_its_calls(count: int) -> None:
    CountingLoss.calls.clear()
    loss, restored, gt = CountingLoss().build(COLOUR), torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    for _ in range(count):
        torch.testing.assert_close(loss(restored, gt), torch.nn.functional.l1_loss(restored, gt))
    assert len(CountingLoss.calls) == count


class OtherLoss(CountingLoss):
    """A loss under test."""


def test_components_are_registered_only_inside_the_block() -> None:
    with small_run.components() as components:
        found = {kind: components.find(kind, NAME).component for kind in ("tasks", "backbones", "classifiers")}
        assert found == {"tasks": PlainTask, "backbones": SmallBackbone, "classifiers": SmallClassifier}
        assert components.find("losses", NAME).component is CountingLoss
        assert components.find("tasks", "sr")  # the installed ones are there too
    assert MODULE not in sys.modules


def test_a_component_under_test_replaces_the_small_one_of_its_kind() -> None:
    with small_run.components(losses=OtherLoss) as components:
        assert components.find("losses", NAME).component is OtherLoss
        assert components.find("backbones", NAME).component is SmallBackbone


def test_the_recipe_is_valid_and_has_two_branches(tmp_path: Path) -> None:
    with small_run.components() as components:
        source = tmp_path / "recipe.yml"
        source.write_text(yaml_reader.dump({**small_run.recipe(tmp_path), "stages": {"base": FIT, "evaluate": None}}))
        recipe = reading.read(source, components)
    assert [branch.backbone for branch in recipe.branches] == [SmallBackbone(channels=2), SmallBackbone(channels=4)]
    assert recipe.stages["base"].steps == FIT["steps"]  # type: ignore[attr-defined]  # it trains


def test_the_photographs_are_random_and_the_same_in_every_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        small_run.recipe(tmp_path / name)
    first, second = (sorted((tmp_path / name / "photographs").iterdir()) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    pixels = [io.read_rgb(path) for path in first]
    assert [image.shape for image in pixels] == [(48, 48, 3)] * 2
    assert (pixels[0] != pixels[1]).mean() > 0.9


def save(folder: Path, step: int = 2) -> Path:
    """Write a checkpoint as the training of a stage does; return its path."""
    checkpoint.save(Accelerator(cpu=True), folder, step, {}, None)
    return folder / f"step-{step:08d}"


def test_the_first_checkpoint_of_the_stage_ends_the_run_and_is_complete(tmp_path: Path) -> None:
    passed = []
    with small_run.interrupted("base", tmp_path):
        passed.append(save(tmp_path / "rank" / "checkpoints"))
        passed.append(save(tmp_path / "base" / "checkpoints"))
        passed.append(tmp_path)  # not reached
    assert len(passed) == 1
    assert [path.name for path in checkpoint.newest_first(tmp_path / "base" / "checkpoints")] == ["step-00000002"]
    assert checkpoint.damage_of(tmp_path / "base" / "checkpoints" / "step-00000002") == ""


def test_a_run_is_interrupted_no_more_after_the_block(tmp_path: Path) -> None:
    with small_run.interrupted("base", tmp_path):
        save(tmp_path / "base" / "checkpoints")
    assert save(tmp_path / "base" / "checkpoints", 4).is_dir()


def test_a_run_in_another_folder_is_not_interrupted(tmp_path: Path) -> None:
    with small_run.interrupted("base", tmp_path / "first"):
        assert save(tmp_path / "second" / "base" / "checkpoints").is_dir()


def test_an_error_of_the_run_is_not_taken_for_the_interruption(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="edges"), small_run.interrupted("base", tmp_path):
        raise KeyError("edges")
