"""Claims about the stages that measure: which recipes they refuse, and the names of their columns."""

from __future__ import annotations

from pathlib import Path

import pytest
import toys

from lowvision.pipeline.core_stages import Evaluate
from lowvision.plugins.core_metrics import PSNR, SSIM
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading

ALONE = "task: enlarge\nbackbone: net\ndata: {train: meadow}\nstages:\n"


def issues(folder: Path, text: str) -> list[str]:
    return [line.partition(": ")[2] for line in toys.complaints(folder, text)]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("  base: {steps: 5}\n  evaluate: {}\n", "stages.evaluate: needs data.test"),
        ("  evaluate: {compare: true}\n", "stages.evaluate.compare: needs data.valid, to fit other classifiers"),
        (
            "  evaluate: {budgets: [0.5]}\n",
            "stages.evaluate.budgets: needs data.valid, to set a single network to them",
        ),
        ("  calibrate:\n", "stages.calibrate: needs data.valid"),
        ("  calibrate:\n", "stages.calibrate: needs stages.base, or weights of the branch"),
        ("  fidelity:\n", "stages.fidelity: needs stages.calibrate, whose curve it measures"),
        ("  fidelity:\n", "stages.fidelity: needs a `teacher`, whose weights are the last branch, and a classifier"),
    ],
)
def test_a_stage_without_what_it_measures_is_an_error(tmp_path: Path, stages: str, message: str) -> None:
    assert message in issues(tmp_path, ALONE + stages)


def test_a_trained_classifier_is_calibrated_after_its_training(tmp_path: Path) -> None:
    text = toys.RECIPE.replace("  classifier: {steps: 150, batch: 48}\n  joint:\n", "  calibrate:\n")
    assert issues(tmp_path, text) == [
        "stages.calibrate: needs stages.classifier or stages.joint, which train the classifier"
    ]


def test_the_default_evaluation_is_left_out_without_test_data(tmp_path: Path) -> None:
    assert toys.read(tmp_path, ALONE + "  base: {steps: 5}\n").stages.evaluate is not None


@pytest.mark.parametrize("stages", ["  base: {steps: 5}\n", "  base: {steps: 5}\n  evaluate: null\n"])
def test_a_recipe_without_test_data_is_read_back_from_its_resolved_form(tmp_path: Path, stages: str) -> None:
    recipe = toys.read(tmp_path, ALONE + stages)
    text = reading.resolved(recipe, toys.registry())
    assert toys.read(tmp_path, text) == recipe
    assert ("evaluate: null" in text) == ("evaluate" in stages)


def test_equal_metrics_get_numbers() -> None:
    known: Registry = toys.registry()
    metrics = (PSNR(), SSIM(), PSNR(full_range=True))
    named = Evaluate(metrics=metrics).named_metrics(known)
    assert list(named) == ["psnr", "ssim", "psnr_2"]
    assert tuple(named.values()) == metrics
