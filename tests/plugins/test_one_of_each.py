"""One recipe uses a component of each kind that plugins provide, and its report holds what they add."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import one_of_each
import pytest
import torch

from lowvision import testing
from lowvision.errors import RecipeError
from lowvision.imaging import io
from lowvision.models import weights
from lowvision.pipeline import preflight, run, run_folder
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.testing.registration import registered

RECIPE = """\
task:
  chain: {scale: 2, context: 2, shuffle: true, of: [halo, {resize: {factor: [0.5, 1]}}, {noise: {gaussian: [1, 5]}}]}
backbone: {edge: {channels: 8}}
reduce: {low_rank: [2, 0]}
classifier: variance
tile: {size: 16, overlap: 4}
data: {train: {archive: {path: ZIP}}, valid: {archive: {path: ZIP}}, test: {archive: {path: ZIP}}, valid_tiles: 4,
       workers: 0, degrade: device}
observers: [{target: {at_least: 5.0}}]
stages:
  base: {steps: 4, batch: 2, valid_every: 2, log_every: 1, loss: [huber, patches], keep: {best: sharpness}}
  refine: {steps: 2, batch: 2, valid_every: 2, log_every: 1, loss: huber}
  rounded: {bits: 6}
  rank: {limit: 8}
  branches: {steps: 2, batch: 2, valid_every: 2, log_every: 1}
  calibrate: {points: 3, size: 32}
  evaluate: {metrics: [psnr, sharpness], pictures: 0}
"""


@pytest.fixture(scope="module")
def components() -> Iterator[Registry]:
    with registered(one_of_each.COMPONENTS) as known:
        yield known


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a zip archive of two photographs."""
    folder, generator = tmp_path_factory.mktemp("archive"), torch.Generator().manual_seed(0)
    with ZipFile(folder / "photographs.zip", "w") as file:
        for name in ("set/one.png", "set/two.png"):
            pixels = torch.randint(0, 256, (12, 12, 3), generator=generator, dtype=torch.uint8)
            io.write(folder / "image.png", io.Image(pixels.repeat_interleave(8, 0).repeat_interleave(8, 1).numpy()))
            file.write(folder / "image.png", name)
    return folder / "photographs.zip"


@pytest.fixture(scope="module")
def folder(archive: Path, components: Registry) -> Path:
    """Return the folder of a run of the recipe."""
    source = archive.with_name("recipe.yml")
    source.write_text(RECIPE.replace("ZIP", str(archive)))
    run.run(reading.read(source, components), components, source, archive.with_name("run"), False, "cpu")
    return archive.with_name("run")


@pytest.mark.parametrize(
    ("check", "component"),
    [
        (testing.check_task, one_of_each.Halo()),
        (testing.check_loss, one_of_each.Huber()),
        (testing.check_loss, one_of_each.Patches()),
        (testing.check_metric, one_of_each.Sharpness()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_components_pass_their_checks(check: Callable[[Any], None], component: Any) -> None:
    check(component)


def test_the_data_set_passes_its_check(archive: Path) -> None:
    testing.check_dataset(one_of_each.Archive(path=str(archive)))


def test_the_report_holds_every_branch_and_metric(folder: Path) -> None:
    document = json.loads((folder / "report.json").read_text())
    (measured,) = document["sets"]
    assert [image["name"] for image in measured["images"]] == ["set/one.png", "set/two.png"]
    assert "sharpness@crop2" in measured["mean"]["routed"]
    assert document["metrics"]["sharpness"]["protocol"].startswith("standard deviation of the Laplacian")


def test_losses_critic_metric_and_objective_are_logged(folder: Path) -> None:
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    names = {
        stage: {name for entry in entries if entry["stage"] == stage for name in entry} for stage in ("base", "refine")
    }
    assert names["base"] >= {"image/huber", "image/patches", "critic/patches", "valid_sharpness"}
    assert names["refine"] >= {"image", "edges"}


def test_the_observer_ends_each_training_at_its_first_validation(folder: Path) -> None:
    assert "base: ended at step 2 of 4: PSNR reached 5.0" in (folder / "log.txt").read_text()


def test_the_base_is_stored_in_its_deployed_form(folder: Path, components: Registry) -> None:
    architecture = weights.read_header(folder / "calibrate" / "container.safetensors", components).architecture
    assert [type(backbone) for backbone in architecture.branches] == [one_of_each.Factored, one_of_each.Edge]
    assert architecture.branches[-1].form == "deployed"
    assert (folder / "refine" / "tiles.txt").read_text() == "(4, 3, 16, 16) (4, 3, 32, 32)"


def test_a_stage_that_saves_weights_saves_and_lists_both_forms(folder: Path) -> None:
    assert (folder / "rounded" / "last.training.safetensors").exists()
    assert run_folder.unlisted(folder) == []
    assert "rounded: 6 bits" in (folder / "log.txt").read_text()


def test_a_missing_file_of_a_data_set_is_an_issue_of_the_recipe(tmp_path: Path, components: Registry) -> None:
    source = tmp_path / "recipe.yml"
    source.write_text(RECIPE.replace("ZIP", str(tmp_path / "none.zip")))
    with pytest.raises(RecipeError) as caught:
        preflight.check(reading.read(source, components), components, "cpu")
    issues = str(caught.value).splitlines()
    assert [issue.partition(":")[0] for issue in issues] == ["data.train", "data.valid", "data.test"]
    assert all("No such file" in issue for issue in issues)
