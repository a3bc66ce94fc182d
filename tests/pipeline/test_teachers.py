"""Claims about teachers: trained networks whose outputs replace the ground truth of `data.train`."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch

from lowvision.data import photographs
from lowvision.data.photographs import Photograph
from lowvision.errors import LowvisionError, WeightsError
from lowvision.imaging import io
from lowvision.inference import trained_networks
from lowvision.pipeline import preflight, teachers
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.recipe.models import Recipe

KNOWN = registry.load()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return reading.read(tiny.write_recipe(tmp_path_factory.mktemp("recipe")), KNOWN)


@pytest.fixture(scope="module")
def train(recipe: Recipe) -> tuple[Photograph, ...]:
    assert recipe.data.train
    return photographs.load(recipe.data.train, recipe.task)


def largest(path: Path, lq: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return trained_networks.read(path, KNOWN).branches[-1].module()(lq).clamp(0, 1)


def test_a_target_is_the_mean_output_of_all_teachers(
    recipe: Recipe, train: tuple[Photograph, ...], weights_file: Path, tmp_path: Path
) -> None:
    alone = tiny.write_weights(tmp_path / "alone.safetensors", tiny.architecture().only(-1))
    averaged = teachers.load([str(weights_file), str(alone)], recipe.task, KNOWN)
    (first, *_) = averaged.targets(train)
    assert first.lq is not None
    lq = io.to_tensor(first.lq)[None]
    expected = (largest(weights_file, lq) + largest(alone, lq)) / 2
    torch.testing.assert_close(io.to_tensor(first.gt)[None], expected, atol=0.51 / 255, rtol=0)
    assert first.gt.shape == train[0].gt.shape


def test_targets_are_computed_once(
    recipe: Recipe, train: tuple[Photograph, ...], weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    averaged = teachers.load([str(weights_file)], recipe.task, KNOWN)
    paths = [photograph.gt_path for photograph in averaged.targets(train)]
    monkeypatch.setattr(teachers.Teachers, "_output", None)  # a call would fail
    assert [photograph.gt_path for photograph in averaged.targets(train)] == paths


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task={denoise: {sigma: 25}}", "backbone={dncnn: {channels: 12, layers: 3}}"], "degradation is random"),
        (
            ["task.sr.scale=4"],
            "has scale 2 and 3 channels, the task has scale 4 and 3 channels; name",
        ),
        (["data.teachers=[missing.safetensors]"], "missing.safetensors"),
    ],
)
def test_invalid_teachers_are_refused_before_the_run(
    tmp_path: Path, weights_file: Path, overrides: list[str], message: str
) -> None:
    path = tiny.write_recipe(tmp_path)
    with pytest.raises(LowvisionError, match=message):
        preflight.check(reading.read(path, KNOWN, [f"data.teachers=[{weights_file}]", *overrides]), KNOWN)


def test_a_run_trains_on_the_outputs_of_its_teachers(tmp_path: Path, weights_file: Path) -> None:
    path = tiny.write_recipe(tmp_path)
    short = ("stages={base: {steps: 2, batch: 4, checkpoint_every: 2, valid_every: 2, log_every: 1}, evaluate: null}",)
    tiny.run(path, tmp_path / "taught", f"data.teachers=[{weights_file}]", *short)
    tiny.run(path, tmp_path / "plain", *short)
    logs = [(tmp_path / run / "log.txt").read_text() for run in ("taught", "plain")]
    assert ["mean output of" in log for log in logs] == [True, False]
    losses = [log.partition("loss ")[2].split()[0] for log in logs]
    assert losses[0] != losses[1]


def test_teachers_of_another_scale_are_reported(weights_file: Path, recipe: Recipe) -> None:
    task = recipe.task.replace(channels=1)
    with pytest.raises(WeightsError, match="3 channels, the task has scale 2 and 1 channels"):
        teachers.check([str(weights_file)], task, KNOWN)
