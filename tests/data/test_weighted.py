"""Claims about tiles that are drawn by the share of their data set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from two_folders import mixed, write_two_folders

from lowvision.data import augment, photographs
from lowvision.data.tiles import Grid, Listed, Samples, TileExtractor
from lowvision.data.weighted import weighted
from lowvision.plugins import registry

KNOWN = registry.load()


TASK = KNOWN.find("tasks", "denoise").component()


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return write_two_folders(tmp_path)


def brightness(folders: list[Path], shares: tuple[float, ...] | None, count: int = 400) -> float:
    """Return the fraction of bright tiles in training."""
    data = mixed(folders, shares=shares)
    loaded = photographs.load(data, TASK)
    pool = weighted(Grid(loaded, 8, 1), loaded, data.weights())
    samples = Samples(TileExtractor(loaded, TASK, 8), pool, augment.build(()), 0, "base")
    return float(np.mean([samples[number][1].mean().item() for number in range(count)]))


def test_tiles_are_drawn_by_the_given_shares(folders: list[Path]) -> None:
    assert brightness(folders, (3.0, 1.0)) == pytest.approx(0.25, abs=0.06)
    assert brightness(folders, (1.0, 3.0)) == pytest.approx(0.75, abs=0.06)


def test_without_shares_all_tiles_are_equally_likely(folders: list[Path]) -> None:
    assert brightness(folders, None) == pytest.approx(2 * 17**2 / (33**2 + 2 * 17**2), abs=0.06)


def test_listed_tiles_follow_the_shares_and_an_empty_set_is_omitted(folders: list[Path]) -> None:
    loaded = photographs.load(mixed(folders), TASK)
    listed = Listed(np.array([[0, 0, 0]] * 9 + [[2, 0, 0]]))
    draw = np.random.default_rng(0)
    pool = weighted(listed, loaded, (1.0, 1.0))
    counts = Counter(pool.draw(draw)[0] for _ in range(300))
    assert counts.keys() == {0, 2}
    assert 110 < counts[2] < 190
    assert weighted(Listed(np.array([[0, 1, 1]])), loaded, (1.0, 1.0)).draw(draw) == (0, 1, 1)
