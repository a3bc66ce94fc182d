"""Augmentations are albumentations' by name; an unknown name or argument is an error."""

from __future__ import annotations

import numpy as np
import pytest

from lowvision.errors import RecipeError
from lowvision.training import augment


def test_small_and_large_turn_alike_and_all_eight_ways_are_met():
    small = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    large = small.repeat(2, 0).repeat(2, 1)
    turn = augment.build(("D4",))
    seen = set()
    for seed in range(60):
        lq, gt = turn(small, large, seed)
        assert np.array_equal(lq.repeat(2, 0).repeat(2, 1), gt)
        seen.add(lq.tobytes())
    assert len(seen) == 8


def test_a_row_of_transforms_with_arguments_follows_from_the_seed():
    row = augment.build(({"HorizontalFlip": {"p": 0.5}}, "Transpose"))
    image = np.random.default_rng(0).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    for seed in range(5):
        assert all(np.array_equal(a, b) for a, b in zip(row(image, image, seed), row(image, image, seed), strict=True))


@pytest.mark.parametrize("aligned", ["D4", "Transpose", {"HorizontalFlip": {"p": 1}}])
def test_what_keeps_lq_and_gt_together_passes(aligned):
    augment.check(augment.build((aligned,)), 16, 4)


@pytest.mark.parametrize("torn", [{"RandomCrop": {"height": 8, "width": 8}}, {"Rotate": {"limit": 30, "p": 1}}])
def test_what_tears_lq_and_gt_apart_is_refused(torn):
    with pytest.raises(RecipeError, match="same place"):
        augment.check(augment.build((torn,)), 16, 4)


def test_none_at_all_leaves_tiles_alone():
    image = np.zeros((2, 2, 3), np.uint8)
    assert augment.build(())(image, image, 0)[0] is image


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("HorizontalFlp", "did you mean 'HorizontalFlip'"),
        ({"HorizontalFlip": {"propability": 1}}, "propability"),
        ({"HorizontalFlip": {"p": "often"}}, "HorizontalFlip"),
        ("GaussNoise", "no geometric transform"),
        ({"D4": {}, "Transpose": {}}, "one name"),
    ],
)
def test_bad_ones_are_told(specification, message):
    with pytest.raises(RecipeError, match=message):
        augment.build((specification,))
