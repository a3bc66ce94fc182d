"""Augmentations are albumentations' by name; an unknown name or argument is an error."""

from __future__ import annotations

import numpy as np
import pytest

from lowvision.data import augment
from lowvision.errors import RecipeError


def test_lq_and_gt_turn_equally_and_all_eight_orientations_occur():
    small = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    large = small.repeat(2, 0).repeat(2, 1)
    turn = augment.build(("D4",))
    seen = set()
    for seed in range(60):
        lq, gt = turn(small, large, seed)
        assert np.array_equal(lq.repeat(2, 0).repeat(2, 1), gt)
        seen.add(lq.tobytes())
    assert len(seen) == 8


def test_a_sequence_of_transforms_depends_only_on_the_seed():
    row = augment.build(({"HorizontalFlip": {"p": 0.5}}, "Transpose"))
    image = np.random.default_rng(0).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    for seed in range(5):
        assert all(np.array_equal(a, b) for a, b in zip(row(image, image, seed), row(image, image, seed), strict=True))


@pytest.mark.parametrize("aligned", ["D4", "Transpose", {"HorizontalFlip": {"p": 1}}])
def test_transforms_that_keep_lq_and_gt_aligned_are_accepted(aligned):
    augment.check(augment.build((aligned,)), 16, 4)


ROTATE = {"Rotate": {"limit": [30, 30], "p": 1}}


@pytest.mark.parametrize(
    "torn",
    [{"RandomCrop": {"height": 8, "width": 8}}, ROTATE, {"Rotate": {"limit": [30, 30], "p": 1e-6}}],
    ids=["another size", "between the pixels", "small probability"],
)
def test_transforms_that_misalign_lq_and_gt_are_refused_at_any_probability(torn):
    with pytest.raises(RecipeError, match="same region"):
        augment.check(augment.build((torn,)), 16, 4)


def test_at_scale_1_a_rotation_is_equal_for_lq_and_gt():
    turn = augment.build((ROTATE,))
    augment.check(turn, 16, 1)
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    lq, gt = turn(image, image, 0)
    assert np.array_equal(lq, gt)
    assert not np.array_equal(lq, image)


def test_a_check_does_not_change_probabilities():
    rare = augment.build(({"HorizontalFlip": {"p": 1e-6}},))
    augment.check(rare, 16, 2)
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert all(np.array_equal(rare(image, image, seed)[0], image) for seed in range(8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_16_bit_tiles_keep_channels_and_depth(dtype, channels):
    image = np.arange(36 * channels, dtype=dtype).reshape(6, 6, channels)
    turned, _ = augment.build(("D4", "Transpose"))(image, image, 3)
    assert (turned.dtype, turned.shape) == (image.dtype, image.shape)
    assert np.array_equal(np.sort(turned, axis=None), np.sort(image, axis=None))


def test_without_augmentations_tiles_are_unchanged():
    image = np.zeros((2, 2, 3), np.uint8)
    assert augment.build(())(image, image, 0)[0] is image


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("HorizontalFlp", ": albumentations has no geometric transform of that name (did you mean 'HorizontalFlip'?)"),
        ("OneOf", ": albumentations has no geometric transform of that name"),
        ("GaussNoise", ": changes pixel values, and lq must stay the degraded gt; use a geometric transform"),
        ({"HorizontalFlip": {"propability": 1}}, ".propability: unknown argument; there are p"),
        ({"Rotate": {"limits": 30}}, ".limits: unknown argument (did you mean 'limit'?)"),
        ({"HorizontalFlip": {"p": 2}}, ".p: must be at most 1, not 2"),
        ({"HorizontalFlip": {"p": "often"}}, ".p: must be a number, not 'often'"),
        ({"HorizontalFlip": {1: 2}}, ".1: unknown argument; there are p"),
        ({"HorizontalFlip": 3}, ": must be a mapping of arguments, not 3"),
    ],
)  # fmt: skip
def test_invalid_augmentations_are_reported(specification, message):
    name = specification if isinstance(specification, str) else next(iter(specification))
    with pytest.raises(RecipeError) as caught:
        augment.build(("D4", specification))
    assert str(caught.value) == f"data.augment.1.{name}{message}"


@pytest.mark.parametrize("shapeless", [{"D4": {}, "Transpose": {}}, 3, ("D4",)])
def test_values_that_are_not_choices_are_reported(shapeless):
    with pytest.raises(RecipeError, match=r"data\.augment\.0: must be one name, or one name with its arguments, not"):
        augment.build((shapeless,))


def test_all_errors_are_reported_together():
    with pytest.raises(RecipeError) as caught:
        augment.build(("Flop", "D4", {"Rotate": {"angle": 3, "corner": 1}}))
    places = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert places == ["data.augment.0.Flop", "data.augment.2.Rotate.angle", "data.augment.2.Rotate.corner"]
