"""Ranking sorts tiles into equally large classes, the simplest first."""

from __future__ import annotations

import numpy as np
import pytest

from lowvision.pipeline.stages.rank import Ranking, classes_of


@pytest.mark.parametrize("classes", [1, 2, 3, 5])
def test_classes_have_equal_size_and_class_0_is_the_simplest(classes):
    psnrs = np.random.default_rng(0).permutation(np.linspace(20, 50, 60))
    class_of_tile, thresholds = classes_of(psnrs, classes)
    assert np.bincount(class_of_tile, minlength=classes).tolist() == [60 // classes] * classes
    assert len(thresholds) == classes - 1
    assert list(thresholds) == sorted(thresholds, reverse=True)
    for k in range(classes - 1):
        assert psnrs[class_of_tile == k].min() >= psnrs[class_of_tile == k + 1].max()


def test_each_class_pool_contains_its_own_tiles():
    ranking = Ranking(np.array([[0, 1, 2], [1, 3, 4], [2, 5, 6]]), np.array([30.0, 20.0, 40.0]), np.array([1, 2, 0]))
    assert ranking.of_class(2).coords(0) == (1, 3, 4)
    assert len(ranking.of_class(0)) == 1


def test_equal_tiles_are_distributed_so_that_no_class_is_empty():
    class_of_tile, _ = classes_of(np.array([100.0] * 80 + list(range(20, 40))), 3)
    assert np.bincount(class_of_tile, minlength=3).tolist() == [34, 33, 33]
