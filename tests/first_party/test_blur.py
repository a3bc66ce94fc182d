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
from lowvision_blur import Deblurring, MotionBlur, Sinc
from lowvision_blur.kernels import Shape, blurred, disc, filtered, gaussian, line, of_shape, sinc

RECIPE = Path(__file__).parents[2] / "recipes" / "deblur_dncnn.yml"
ANY = torch.Generator()
KERNELS: tuple[Any, ...] = ("gaussian", "disc")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("radius", [0.5, 2.5, (1, 3)], ids=str)
def test_the_task_passes_its_check(kernel: Any, radius: Any) -> None:
    check_task(Deblurring(kernel=kernel, radius=radius))


@given(radius=some.floats(0.05, 6), kernel=some.sampled_from(KERNELS))
@settings(deadline=None, max_examples=20)
def test_a_flat_image_is_unchanged(radius: float, kernel: Any) -> None:
    flat = torch.full((3, 5, 9), 0.3)
    torch.testing.assert_close(blurred(flat, kernel, radius), flat)


@given(radius=some.floats(0.05, 6), turns=some.integers(1, 3), kernel=some.sampled_from(KERNELS))
@settings(deadline=None, max_examples=20)
def test_blurring_commutes_with_rotation_by_90_degrees(radius: float, turns: int, kernel: Any) -> None:
    image = torch.rand(1, 7, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = blurred(image.rot90(turns, (1, 2)), kernel, radius)
    torch.testing.assert_close(turned, blurred(image, kernel, radius).rot90(turns, (1, 2)))


@pytest.mark.parametrize("sigma", [0.7, 1.6, 4.0])
def test_gaussian_blur_equals_opencv(sigma: float) -> None:
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
def test_a_disc_kernel_is_flat_and_has_the_area_of_its_radius(radius: float) -> None:
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


def test_a_range_draws_a_radius_per_tile_and_rounds_to_8_bit() -> None:
    noise, generator = torch.rand(1, 64, 64, generator=ANY.manual_seed(0)), torch.Generator().manual_seed(0)
    task = Deblurring(radius=(1, 4))
    drawn = [task.degrade(noise, generator) for _ in range(40)]
    detail = [lq.std().item() for lq in drawn]
    weakest, strongest = (blurred(noise, "gaussian", radius).std().item() for radius in (1, 4))
    assert strongest < min(detail) < 1.3 * strongest
    assert 0.7 * weakest < max(detail) < weakest
    assert all(torch.allclose(lq * 255, (lq * 255).round(), atol=1e-4) for lq in drawn)


def test_only_a_range_is_random() -> None:
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
    assert report["task"]["blur"].items() >= {"scale": 1, "channels": 3, "kernel": "gaussian", "radius": 1.6}.items()
    assert report["sets"][0]["mean"]["routed"]["gmac"] > 0


@pytest.mark.parametrize("task", [{"blur": {"kernel": "disc", "radius": [1, 3]}}, "blur"], ids=str)
def test_the_kernel_is_selected_by_an_option(task: Any) -> None:
    recipe = reading.read(RECIPE, registry.load(), [f"task={json.dumps(task)}"])
    assert isinstance(recipe.task, Task)
    assert recipe.task == (Deblurring(kernel="disc", radius=(1, 3)) if isinstance(task, dict) else Deblurring())


def test_the_recipe_equals_that_of_denoising_except_for_a_slower_warm_up() -> None:
    known = registry.load()
    ours, theirs = (reading.read(path, known) for path in (RECIPE, RECIPE.with_name("denoise_dncnn.yml")))
    assert ours.replace(task=theirs.task, stages=theirs.stages) == theirs
    ours_stages, their_stages = ours.stages, theirs.stages
    assert ours_stages.base == their_stages.base.replace(warmup=100)
    assert ours_stages.branches == their_stages.branches.replace(warmup=100, own_class=0.0)


def test_listing_the_plugin_does_not_import_torch() -> None:
    program = "import sys, lowvision_blur as p; p.lowvision_tasks(); p.Deblurring(); print('torch' in sys.modules)"
    assert check_output([sys.executable, "-c", program], text=True).strip() == "False"


# Kernels in two dimensions


@pytest.mark.parametrize(
    "task",
    [
        Deblurring(radius=(0.2, 3), anisotropic=True, size=(7, 21)),
        Deblurring(radius=(0.2, 3), kernel="generalized", shape=(0.5, 4)),
        Deblurring(radius=(0.2, 3), kernel="plateau", shape=(1, 2), anisotropic=True),
        Deblurring(radius=1.5, kernel="plateau"),
        Sinc(),
        Sinc(cutoff=1.0, size=9),
        MotionBlur(),
        MotionBlur(length=7, angle=30),
    ],
    ids=repr,
)
def test_every_kernel_passes_the_task_check(task: Task) -> None:
    check_task(task)


def test_a_generalized_kernel_with_exponent_1_equals_the_gaussian() -> None:
    outer = gaussian(1.6)[:, None] * gaussian(1.6)[None]
    torch.testing.assert_close(of_shape(Shape("generalized", 1.6, 1.6, 0.3, 1.0, None)), outer)


def test_an_anisotropic_kernel_is_wide_only_along_its_direction() -> None:
    kernel = of_shape(Shape("gaussian", 3.0, 0.5, 0.0, 1.0, 21))
    rows, columns = kernel.sum(dim=1), kernel.sum(dim=0)
    torch.testing.assert_close(columns, gaussian(3.0)[2:-2] / gaussian(3.0)[2:-2].sum())
    assert rows[10] > 0.75
    turned = of_shape(Shape("gaussian", 3.0, 0.5, np.pi / 2, 1.0, 21))
    torch.testing.assert_close(turned, kernel.T)


def test_plateau_and_gaussian_kernels_have_the_given_values_at_their_radius() -> None:
    plateau, gauss = (of_shape(Shape(name, 2.0, 2.0, 0.0, 2.0, 21)) for name in ("plateau", "generalized"))  # type: ignore[arg-type]
    assert (plateau[10, 12] / plateau[10, 10]).item() == pytest.approx(1 / 2)
    assert (gauss[10, 12] / gauss[10, 10]).item() == pytest.approx(np.exp(-1 / 2))


def test_a_sinc_kernel_passes_low_frequencies_and_stops_high_ones() -> None:
    response = torch.fft.fft2(sinc(np.pi / 3, 101)).abs()
    frequency = 2 * np.pi * np.hypot(*np.meshgrid(np.fft.fftfreq(101), np.fft.fftfreq(101)))
    assert response[torch.from_numpy(frequency < 0.8)].sub(1).abs().max() < 0.1
    assert response[torch.from_numpy(frequency > 1.3)].max() < 0.1


def test_a_line_blurs_along_its_angle_only() -> None:
    stripes = torch.arange(64).div(4, rounding_mode="floor").remainder(2).float().expand(1, 64, 64)  # vertical stripes
    vertical, horizontal = (filtered(stripes, line(9, np.radians(angle))) for angle in (90, 0))
    torch.testing.assert_close(vertical, stripes, atol=1e-5, rtol=0)
    assert horizontal.std() < 0.5 * stripes.std()


@given(kernel=some.sampled_from(["sinc", "line", "shape"]), seed=some.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_fast_filtering_equals_convolution(kernel: str, seed: int) -> None:
    draw = np.random.default_rng(seed)
    size, angle, width = 2 * int(draw.integers(1, 9)) + 1, float(draw.uniform(0, 3)), float(draw.uniform(0.3, 3))
    weights = {
        "sinc": sinc(1.0, size),
        "line": line(float(size), angle),
        "shape": of_shape(Shape("plateau", width, 1.0, angle, 1.5, size)),
    }[kernel]
    image = torch.rand(2, 13, 18, generator=torch.Generator().manual_seed(seed))
    pad = [side // 2 for side in weights.shape for _ in range(2)]
    padded = torch.nn.functional.pad(image[:, None].double(), pad, mode="replicate")
    expected = torch.nn.functional.conv2d(padded, weights[None, None])[:, 0]
    torch.testing.assert_close(filtered(image, weights).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 2, "anisotropic": True}, "anisotropic needs a pair"),
        ({"radius": (1, 2), "anisotropic": True, "kernel": "disc"}, "another kernel than `disc`"),
        ({"radius": 2, "size": (7, 9)}, "needs a pair of radii"),
        ({"radius": (1, 2), "size": 8}, "must be odd"),
        ({"radius": (1, 2), "shape": (3, 1)}, "must ascend"),
    ],
)
def test_contradictory_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Deblurring(**options)


@pytest.mark.parametrize(
    "task", [Deblurring(radius=(1, 3)), Deblurring(radius=(1, 3), size=9), Sinc(), MotionBlur(length=(4, 12))], ids=repr
)
def test_the_margin_excludes_border_effects_of_a_tile(task: Task) -> None:
    image = torch.rand(3, 120, 120, generator=torch.Generator().manual_seed(0))
    margin = task.margin
    for seed in range(8):
        whole = task.degrade(image, torch.Generator().manual_seed(seed))
        tile = image[:, 40 - margin : 72 + margin, 40 - margin : 72 + margin]
        alone = task.degrade(tile, torch.Generator().manual_seed(seed))
        inner = alone[:, margin : margin + 32, margin : margin + 32]
        assert (inner - whole[:, 40:72, 40:72]).abs().max() < 1.01 / 255  # rounding to 8 bit
