"""Claims about lowvision-degradations: chains, their links, and the chains of Real-ESRGAN."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import check_output
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import ValidationError
from torch import Generator, Tensor

from lowvision import Task
from lowvision.config.validation import in_words
from lowvision.data import photographs
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.plugins.choice import choose
from lowvision.plugins.folder_dataset import Folder
from lowvision.recipe import reading
from lowvision.testing import check_plugin, check_task
from lowvision_blur import kernels
from lowvision_degradations import (
    CameraNoise,
    Chain,
    Inpainting,
    LowLight,
    Noise,
    OneOf,
    Rain,
    RealESRGAN,
    Resize,
    VideoCompression,
)
from lowvision_degradations.cameras import GAMMA
from lowvision_degradations.pixels import with_gaussian, with_poisson
from lowvision_degradations.ranges import picked

KNOWN = registry.load()
RECIPE = Path(__file__).parents[2] / "recipes" / "sr_blind.yml"


class Shift(Task):
    """A link that adds a constant, so that the order and number of links can be counted."""

    by: float = 0.1
    """The constant."""
    factor: float = 1.0
    """Factor before the constant is added."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        return gt * self.factor + self.by

    def baseline(self, lq: Tensor) -> Tensor:
        return lq


def task(written: Any) -> Task:
    return cast(Task, choose("tasks", written, KNOWN))


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def photograph(height: int = 96, width: int = 96) -> Tensor:
    rows, columns = torch.arange(height)[:, None] / 9, torch.arange(width) / 7
    return (0.5 + 0.4 * torch.stack([(rows + c).sin() * (columns - c).cos() for c in range(3)])).clamp(0, 1)


def test_the_plugin_registers_its_tasks() -> None:
    assert {"chain", "one_of", "real_esrgan", "resize", "noise"} <= set(check_plugin("lowvision_degradations")["tasks"])


@pytest.mark.parametrize(
    "written",
    [
        {"real_esrgan": {"scale": 2, "order": 1}},
        {"chain": {"of": [{"blur": {"radius": [0.2, 3]}}, "noise", {"jpeg": {"quality": [30, 95]}}], "shuffle": True}},
        {"one_of": {"of": ["noise", "sinc"], "weights": [3, 1]}},
        "resize",
        {"resize": {"factor": [0.15, 1.5], "shares": [0.7, 0.2, 0.1]}},
        "noise",
        "low_light",
        "camera_noise",
        "rain",
        "inpaint",
        {"video": {"frames": 2}},
    ],
    ids=str,
)
def test_every_task_passes_its_check(written: Any) -> None:
    check_task(task(_tuples(written)))


def _tuples(value: Any) -> Any:
    """Return lists as tuples, as the reader of recipes does."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("order", [1, 2])
@given(seed=some.integers(0, 2**31))
@settings(deadline=None, max_examples=15)
def test_real_esrgan_degrades_any_size_for_any_seed(order: int, seed: int) -> None:
    chain = task({"real_esrgan": {"order": order}})
    height, width = 4 * (1 + seed % 13), 4 * (1 + seed % 7)
    lq = chain.degrade(photograph(height, width), seeded(seed))
    assert lq.shape == (3, height // 4, width // 4)
    assert torch.allclose(lq * 255, (lq * 255).round(), atol=1e-4)
    assert torch.equal(lq, chain.degrade(photograph(height, width), seeded(seed)))


@pytest.mark.parametrize(
    "written",
    [
        {"real_esrgan": {"order": 2}},
        {"chain": {"shuffle": True, "repeat": 2, "probability": 0.7, "of": [{"blur": {"radius": [0.2, 3]}}, "noise"]}},
        {"one_of": {"of": ["noise", "sinc", {"jpeg": {"quality": [30, 95]}}], "weights": [3, 1, 2]}},
        {"blur": {"radius": [0.5, 2]}},
    ],
    ids=lambda written: next(iter(written)),
)
@given(seeds=some.lists(some.integers(0, 2**31), min_size=1, max_size=4))
@settings(deadline=None, max_examples=8)
def test_a_batch_is_degraded_as_its_images_are(written: Any, seeds: list[int]) -> None:
    made = task(_tuples(written))
    gt = torch.stack([photograph(32, 40).roll(n) for n in range(len(seeds))])
    each = [made.degrade(image, seeded(seed)) for image, seed in zip(gt, seeds, strict=True)]
    assert torch.equal(made.degrade_batch(gt, [seeded(seed) for seed in seeds]), torch.stack(each))


def test_images_of_an_accelerator_are_filtered_in_one_pass_with_the_result_of_each() -> None:
    own = [kernels.sinc(1.0, 7), kernels.line(5.0, 0.7), kernels.of_shape(kernels.Shape("plateau", 2, 1, 0.3, 1.5, 21))]
    images = torch.rand(3, 3, 20, 24, generator=seeded(0))
    expected = torch.stack([kernels.filtered(image, kernel) for image, kernel in zip(images, own, strict=True)])
    torch.testing.assert_close(kernels.filtered_batch(images, own), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("written", [{"blur": {"radius": [0.5, 2]}}, "sinc", "motion_blur"], ids=str)
def test_blurs_of_an_accelerator_group_images_by_size_and_draw_as_one_by_one(written: Any) -> None:
    made = task(_tuples(written))
    images = [photograph(20, 24), photograph(31, 17), photograph(20, 24).flip(-1)]
    each = [made.link(image, seeded(n), (8, 8)) for n, image in enumerate(images)]
    grouped = made.together(images, [seeded(n) for n in range(3)])  # type: ignore[attr-defined]  # they are blurs
    for result, expected in zip(grouped, each, strict=True):
        assert (result - expected).abs().max() < 1.1 / 255  # one rounding to 8 bit apart


def test_jpeg_of_an_accelerator_draws_as_one_by_one() -> None:
    made = task({"jpeg": {"quality": (30, 95)}})
    images = [photograph(24, 24 + n) for n in range(5)]
    each = [made.link(image, seeded(n), (8, 8)) for n, image in enumerate(images)]
    coded = made.in_threads(images, [seeded(n) for n in range(5)], (8, 8))  # type: ignore[attr-defined]  # it is JPEG
    assert all(torch.equal(result, expected) for result, expected in zip(coded, each, strict=True))


def test_the_second_order_degrades_more_than_the_first() -> None:
    gt = photograph()
    clean = Resize(factor=1.0, scale=4).degrade(gt, seeded(0))
    errors = [
        sum((task({"real_esrgan": {"order": order}}).degrade(gt, seeded(n)) - clean).square().mean() for n in range(24))
        for order in (1, 2)
    ]
    assert errors[1] > errors[0]


def test_links_of_real_esrgan_can_be_replaced() -> None:
    chain = cast(RealESRGAN, task({"real_esrgan": {"of": ("noise",)}}))
    assert chain.of == (Noise(),)


def test_links_apply_in_their_order() -> None:
    gt = torch.full((3, 8, 8), 0.2)
    twice_then_plus = Chain(of=(Shift(factor=2, by=0), Shift()), context=0)
    plus_then_twice = Chain(of=(Shift(), Shift(factor=2, by=0)), context=0)
    assert twice_then_plus.link(gt, seeded(0), (8, 8))[0, 0, 0].item() == pytest.approx(0.5)
    assert plus_then_twice.link(gt, seeded(0), (8, 8))[0, 0, 0].item() == pytest.approx(0.6)


def test_repeat_applies_the_links_again_and_shuffle_applies_every_link_once() -> None:
    gt = torch.full((3, 8, 8), 0.1)
    assert Chain(of=(Shift(),), repeat=3).link(gt, seeded(0), (8, 8)).mean().item() == pytest.approx(0.4)
    shuffled = Chain(of=(Shift(factor=2, by=0), Shift()), shuffle=True)
    values = {round(shuffled.link(gt, seeded(n), (8, 8)).mean().item(), 4) for n in range(20)}
    assert values == {0.3, 0.4}


def test_probability_skips_a_link_for_the_other_samples() -> None:
    gt = torch.full((3, 8, 8), 0.1)
    chain = Chain(of=(Shift(),), probability=0.25)
    changed = sum(not torch.equal(chain.link(gt, seeded(n), (8, 8)), gt) for n in range(400))
    assert 60 < changed < 140


def test_one_of_draws_by_its_weights() -> None:
    gt = torch.full((3, 8, 8), 0.1)
    one_of = OneOf(of=(Shift(by=0.1), Shift(by=0.2), Shift(by=0.3)), weights=(3, 1, 0))
    values = [round(one_of.link(gt, seeded(n), (8, 8)).mean().item(), 4) for n in range(400)]
    assert set(values) == {0.2, 0.3}
    assert 240 < values.count(0.2) < 360


@given(weights=some.lists(some.floats(0, 5), min_size=1, max_size=5).filter(sum), seed=some.integers(0, 999))
@settings(deadline=None, max_examples=50)
def test_a_weight_of_0_is_never_picked(weights: list[float], seed: int) -> None:
    assert weights[picked(tuple(weights), seeded(seed))] > 0


def test_noise_has_the_given_sigma() -> None:
    grey = torch.full((3, 200, 200), 0.5)
    assert (with_gaussian(grey, 20, False, seeded(0)) - grey).std().item() == pytest.approx(20 / 255, rel=0.02)
    # Photon noise: the variance of n photons is n.
    assert (with_poisson(grey, 2.0, False, seeded(0)) - grey).std().item() == pytest.approx(
        2 * (128**0.5) / 256, rel=0.02
    )
    assert (with_poisson(grey / 4, 1.0, False, seeded(0)) - grey / 4).std().item() == pytest.approx(
        32**0.5 / 256, rel=0.02
    )


@pytest.mark.parametrize("add", [with_gaussian, with_poisson])
def test_grey_noise_is_equal_in_all_colours(add: Any) -> None:
    gt = photograph()
    noise = add(gt, 5.0, True, seeded(0)) - gt
    torch.testing.assert_close(noise[0], noise[1], atol=1e-5, rtol=0)
    noise = add(gt, 5.0, False, seeded(0)) - gt
    assert (noise[0] - noise[1]).abs().max() > 1e-3


def test_resize_changes_the_size_only_inside_a_chain() -> None:
    gt = photograph()
    half = Resize(factor=0.5, modes=("area",))
    assert half.link(gt, seeded(0), (24, 24)).shape == (3, 48, 48)
    assert half.degrade(gt, seeded(0)).shape == gt.shape
    assert Resize(factor=1.0, relative_to="lq").link(gt, seeded(0), (24, 32)).shape == (3, 24, 32)


def test_shares_set_the_probability_of_enlarging() -> None:
    resize = Resize(factor=(0.5, 2.0), shares=(0.7, 0.2, 0.1))
    sides = [resize.link(photograph(64, 64), seeded(n), (64, 64)).shape[1] for n in range(300)]
    assert 180 < sum(side < 64 for side in sides) < 240
    assert 35 < sum(side > 64 for side in sides) < 85
    assert min(sides) >= 32
    assert max(sides) <= 128


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"chain": {}}, "chain.of: is missing"),
        ({"chain": {"of": ()}}, "at least 1"),
        ({"chain": {"of": ("blurr",)}}, "did you mean 'blur'?"),
        ({"chain": {"of": ({"blur": {"radiu": 3}},)}}, "unknown key (did you mean 'radius'?)"),
        ({"chain": {"of": ({"noise": {"gaussian": (3.0, 1.0)}},)}}, "must ascend"),
        ({"one_of": {"of": ("noise",), "weights": (1.0, 2.0)}}, "one number per task"),
        ({"resize": {"factor": (0.5, 0.9), "shares": (0.5, 0.4, 0.1)}}, "both sides of 1"),
        ({"resize": {"factor": 0.0}}, "more than 0"),
    ],
)
def test_an_error_in_a_link_is_reported_with_its_path(written: Any, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        task(written)
    assert message in in_words(raised.value)


def test_an_error_in_a_link_is_reported_with_its_line(tmp_path: Path) -> None:
    recipe = tmp_path / "chain.yml"
    recipe.write_text(
        "task:\n  chain:\n    of:\n      - noise\n      - blur: {radius: [1, 2]}\n      - jpeg: {quality: [200, 300]}\n"
        "backbone: dncnn\n"
    )
    with pytest.raises(Exception, match=r"chain.yml:6: task.chain.of.2.jpeg.quality"):
        reading.read(recipe, KNOWN)


def test_a_recipe_with_a_chain_survives_dumping_and_reading(tmp_path: Path) -> None:
    recipe = reading.read(RECIPE, KNOWN)
    (tmp_path / "again.yml").write_text(reading.resolved(recipe, KNOWN))
    assert reading.read(tmp_path / "again.yml", KNOWN) == recipe


def test_a_link_can_be_changed_on_the_command_line() -> None:
    chain = 'task={"chain": {"of": [{"noise": {}}, "sinc"]}}'
    recipe = reading.read(RECIPE, KNOWN, [chain, "task.chain.of.0.noise.grey_share=1.0"])
    assert cast(Chain, recipe.task).of[0] == Noise(grey_share=1.0)


def test_a_chain_without_randomness_is_applied_once_and_cached_by_its_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    io.write(tmp_path / "photos" / "one.png", io.Image(io.to_pixels(photograph())))
    chains = [
        task({"chain": {"of": ({"blur": {"radius": radius}}, {"jpeg": {"quality": 30}})}}) for radius in (1.0, 3.0)
    ]
    pictures = [photographs.load(Folder(path=str(tmp_path / "photos")), each)[0].lq for each in chains]
    assert not chains[0].random
    assert pictures[0] is not None
    assert pictures[1] is not None
    assert (pictures[0] != pictures[1]).any()


def test_listing_the_plugin_imports_no_heavy_library() -> None:
    program = "import sys, lowvision_degradations as p; p.lowvision_tasks(); print({'torch', 'cv2'} & {*sys.modules})"
    assert check_output([sys.executable, "-c", program], text=True).strip() == "set()"


def test_a_chain_is_described_in_the_schema() -> None:
    from lowvision.recipe.schema import schema

    chain = json.loads(json.dumps(schema(KNOWN)))["$defs"]["tasks.chain"]
    assert chain["properties"]["of"]["items"] == {"$ref": "#/$defs/tasks"}


# Transforms of albumentations


@pytest.mark.parametrize(
    "written",
    [
        {"albumentations": {"MotionBlur": {"blur_limit": (3, 9), "p": 1.0}}},
        {"albumentations": {"GaussNoise": {"std_range": (0.1, 0.2), "p": 1.0}, "ImageCompression": None}},
    ],
    ids=str,
)
def test_a_pixel_transform_by_name_passes_the_task_check(written: Any) -> None:
    check_task(task(written))


def test_a_pixel_transform_is_a_link_of_a_chain() -> None:
    link = {"albumentations": {"MotionBlur": {"blur_limit": (9, 9), "p": 1.0}}}
    chain = task({"chain": {"scale": 2, "of": (link,)}})
    lq = chain.degrade(photograph(), seeded(1))
    assert lq.shape == (3, 48, 48)
    assert torch.equal(lq, chain.degrade(photograph(), seeded(1)))
    assert not torch.equal(lq, chain.degrade(photograph(), seeded(2)))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            {"MotionBluur": {}},
            "MotionBluur: albumentations has no pixel transform of that name (did you mean 'MotionBlur'?)",
        ),
        ({"MotionBlur": {"blur_limits": 3}}, "MotionBlur.blur_limits: unknown argument (did you mean 'blur_limit'?)"),
        ({"MotionBlur": {"p": 2.0}}, "MotionBlur.p"),
        ({"RandomCrop": {"height": 8, "width": 8}}, "RandomCrop: moves pixels"),
        ({"MotionBlur": 3}, "MotionBlur"),
    ],
    ids=str,
)
def test_an_invalid_transform_or_argument_is_named(transform: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        task({"chain": {"of": ({"albumentations": transform},)}})
    assert message in in_words(raised.value)


# Tasks of cameras, weather and video


def test_low_light_darkens_and_its_baseline_brightens() -> None:
    gt, low_light = photograph(), LowLight(exposure=0.1, photons=1e6, read_noise=0.0)
    lq = low_light.degrade(gt, seeded(0))
    torch.testing.assert_close(lq, gt * 0.1 ** (1 / GAMMA), atol=0.01, rtol=0)
    torch.testing.assert_close(low_light.baseline(lq[None])[0], gt, atol=0.02, rtol=0)


def test_fewer_photons_are_noisier() -> None:
    flat = torch.full((3, 64, 64), 0.5)
    stds = [LowLight(exposure=0.1, photons=n, read_noise=0.0).degrade(flat, seeded(0)).std() for n in (500.0, 5000.0)]
    assert stds[0] > 2 * stds[1]


def test_camera_noise_has_the_variance_of_shot_and_read_noise() -> None:
    light = torch.full((3, 200, 200), 0.25)
    lq = CameraNoise(shot=0.004, read=0.02).degrade(light ** (1 / GAMMA), seeded(0)) ** GAMMA
    assert lq.std().item() == pytest.approx((0.004 * 0.25 + 0.02**2) ** 0.5, rel=0.05)


def test_rain_only_brightens_and_streaks_are_longer_along_its_direction() -> None:
    black = torch.zeros(3, 128, 128)
    rain = Rain(angle=0.0, length=20.0, density=2.0).degrade(black, seeded(0))
    assert 0.005 < rain.mean().item() < 0.2
    along, across = (
        (rain[:, step:, side:] * rain[:, : 128 - step, : 128 - side]).mean() for step, side in ((8, 0), (0, 8))
    )
    assert along > 3 * across


@given(coverage=some.floats(0.01, 0.3), seed=some.integers(0, 999))
@settings(deadline=None, max_examples=15)
def test_masked_parts_are_black_and_the_rest_is_unchanged(coverage: float, seed: int) -> None:
    gt = torch.full((3, 96, 96), 0.7)
    lq = Inpainting(coverage=coverage).degrade(gt, seeded(seed))
    missing = (lq == 0).float().mean().item()
    assert torch.equal(lq[lq != 0], gt[lq != 0])
    assert 0 < missing < coverage + 0.1


def test_a_higher_rate_factor_compresses_a_video_more() -> None:
    pytest.importorskip("av")
    gt = photograph()
    errors = [(VideoCompression(crf=crf).degrade(gt, seeded(0)) - gt).square().mean().item() for crf in (10, 30, 45)]
    assert errors == sorted(errors)
    assert errors[0] < 1e-3


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowvision_degradations.video.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match="needs PyAV, which is not installed; pip install av"):
        VideoCompression()
