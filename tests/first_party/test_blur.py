"""Claims about lowvision-blur; the reference is OpenCV's blur."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import check_output
from typing import Any

import cv2
import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import ValidationError

from lowvision import Task
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.testing import check_task
from lowvision_blur import Deblurring
from lowvision_blur.kernels import blurred, disc, gaussian

RECIPE = Path(__file__).parents[2] / "recipes" / "deblur_dncnn.yml"
ANY = torch.Generator()
KERNELS: tuple[Any, ...] = ("gaussian", "disc")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("radius", [0.5, 2.5, (1, 3)], ids=str)
def test_it_keeps_the_contract_of_a_task(kernel: Any, radius: Any) -> None:
    check_task(Deblurring(kernel=kernel, radius=radius))


@given(radius=some.floats(0.05, 6), kernel=some.sampled_from(KERNELS))
@settings(deadline=None, max_examples=20)
def test_a_flat_image_stays_as_it_is(radius: float, kernel: Any) -> None:
    flat = torch.full((3, 5, 9), 0.3)
    torch.testing.assert_close(blurred(flat, kernel, radius), flat)


@given(radius=some.floats(0.05, 6), turns=some.integers(1, 3), kernel=some.sampled_from(KERNELS))
@settings(deadline=None, max_examples=20)
def test_a_blur_is_the_same_in_every_direction(radius: float, turns: int, kernel: Any) -> None:
    image = torch.rand(1, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = blurred(image.rot90(turns, (1, 2)), kernel, radius)
    torch.testing.assert_close(turned, blurred(image, kernel, radius).rot90(turns, (1, 2)))


@pytest.mark.parametrize("sigma", [0.7, 1.6, 4.0])
def test_gaussian_blur_is_that_of_opencv(sigma: float) -> None:
    image = np.random.default_rng(0).random((31, 24, 3))
    side = len(gaussian(sigma))
    expected = cv2.GaussianBlur(image, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
    ours = blurred(torch.from_numpy(image).permute(2, 0, 1), "gaussian", sigma)
    np.testing.assert_allclose(ours.permute(1, 2, 0).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("sigma", [0.7, 1.6, 4.0])
def test_a_gaussian_has_the_given_standard_deviation(sigma: float) -> None:
    weights = gaussian(sigma)
    places = torch.arange(len(weights)) - len(weights) // 2
    assert (weights * places**2).sum().sqrt().item() == pytest.approx(sigma, rel=2e-3)


@pytest.mark.parametrize("radius", [1.5, 3.0, 6.2])
def test_a_disc_is_flat_inside_and_has_the_area_of_its_radius(radius: float) -> None:
    weights = disc(radius)
    middle = len(weights) // 2
    inside = weights[middle, middle]
    assert torch.isclose(weights[middle, middle + int(radius - 0.5)], inside)
    assert (1 / inside).item() == pytest.approx(np.pi * radius**2, rel=0.08)
    assert weights.max() == inside


def test_a_stronger_blur_leaves_less_detail() -> None:
    noise = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0))
    for kernel in KERNELS:
        detail = [blurred(noise, kernel, radius).std().item() for radius in (0.3, 1, 2, 4)]
        assert detail == sorted(detail, reverse=True)


def test_a_pair_draws_the_radius_anew_for_every_tile_and_rounds_like_a_file() -> None:
    noise, generator = torch.rand(1, 64, 64, generator=ANY.manual_seed(0)), torch.Generator().manual_seed(0)
    task = Deblurring(radius=(1, 4))
    drawn = [task.degrade(noise, generator) for _ in range(40)]
    detail = [lq.std().item() for lq in drawn]
    weakest, strongest = (blurred(noise, "gaussian", radius).std().item() for radius in (1, 4))
    assert strongest < min(detail) < 1.3 * strongest
    assert 0.7 * weakest < max(detail) < weakest
    assert all(torch.allclose(lq * 255, (lq * 255).round(), atol=1e-4) for lq in drawn)


def test_only_a_pair_is_random() -> None:
    assert not Deblurring(radius=2).random
    assert Deblurring(radius=(2, 2)).random


@pytest.mark.parametrize("radius", [0, -1, 51, (3, 1), (1,), "2", True])
def test_impossible_radii_are_refused(radius: Any) -> None:
    with pytest.raises(ValidationError, match="radius"):
        Deblurring(radius=radius)


def test_the_recipe_runs_from_base_to_report(tmp_path: Path) -> None:
    tiny.write_photographs(tmp_path / "photos")
    assert tiny.in_a_child(tiny.run, RECIPE, tmp_path / "run", *tiny.shortened(tmp_path / "photos")) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["task"] == {"blur": {"scale": 1, "channels": 3, "kernel": "gaussian", "radius": 1.6}}
    assert report["sets"][0]["mean"]["routed"]["gmac"] > 0


@pytest.mark.parametrize("task", [{"blur": {"kernel": "disc", "radius": [1, 3]}}, "blur"], ids=str)
def test_another_blur_is_a_word_in_the_recipe(task: Any) -> None:
    recipe = reading.read(RECIPE, registry.load(), [f"task={json.dumps(task)}"])
    assert isinstance(recipe.task, Task)
    assert recipe.task == (Deblurring(kernel="disc", radius=(1, 3)) if isinstance(task, dict) else Deblurring())


def test_the_recipe_asks_for_nothing_that_denoising_does_not_but_a_slower_start() -> None:
    known = registry.load()
    ours, theirs = (reading.read(path, known) for path in (RECIPE, RECIPE.with_name("denoise_dncnn.yml")))
    assert ours.replace(task=theirs.task, stages=theirs.stages) == theirs
    ours_stages, their_stages = ours.stages, theirs.stages
    assert ours_stages.base == their_stages.base.replace(warmup=100)
    assert ours_stages.branches == their_stages.branches.replace(warmup=100, own_class=0.0)


def test_listing_the_plugin_needs_no_torch() -> None:
    program = "import sys, lowvision_blur as p; p.lowvision_tasks(); p.Deblurring(); print('torch' in sys.modules)"
    assert check_output([sys.executable, "-c", program], text=True).strip() == "False"
