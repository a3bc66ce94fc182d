"""Unusable photographs are omitted and listed, or stop the run, depending on the recipe."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import tiny

from lowvision.errors import DataError, RecipeError
from lowvision.imaging import io

SHORT = "stages={base: {steps: 2, batch: 4, checkpoint_every: 2, valid_every: 2, log_every: 1}}"
ALONE = ("reduce=null", "classifier=null", SHORT)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tiny.write_recipe(tmp_path)


def draw(path: Path, side: int) -> None:
    io.write(path, io.Image(np.full((side, side, 3), 90, np.uint8)))


def overflow(path: Path) -> None:
    """Give the height of a TIFF file the largest number of values, as damage does."""
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<L", content, 4)
    (number,) = struct.unpack_from("<H", content, start)
    height = next(at for at in range(start + 2, start + 2 + 12 * number, 12) if content[at : at + 2] == b"\x01\x01")
    struct.pack_into("<L", content, height + 4, 2**32 - 1)
    path.write_bytes(content)


def log_of(recipe: Path, name: str, *overrides: str) -> str:
    tiny.run(recipe, recipe.parent / name, *ALONE, *overrides)
    return (recipe.parent / name / "log.txt").read_text()


def test_photographs_that_are_too_small_are_listed_and_the_others_used(recipe: Path) -> None:
    for split in ("train", "valid"):
        for side in (1, 3, 20):
            draw(recipe.parent / "photos" / split / f"side{side}.png", side)
    log = log_of(recipe, "run")
    assert "data.train: 1 photographs are skipped: " in log
    assert "side1.png: 1x1 is too small for scale 2" in log
    assert "data.train: skipped, smaller than a tile: side20, side3" in log
    assert "evaluate: skipped, too small to be measured: side3" in log
    assert "evaluate: 2/2" in log


def test_a_damaged_training_file_stops_the_run_unless_it_may_be_skipped(recipe: Path) -> None:
    (recipe.parent / "photos" / "train" / "broken.png").write_text("not an image")
    draw(recipe.parent / "photos" / "train" / "overflow.tif", 40)
    overflow(recipe.parent / "photos" / "train" / "overflow.tif")
    with pytest.raises(DataError, match=r"(?s)broken\.png: .*\n.*overflow\.tif: "):
        log_of(recipe, "stopped")
    log = log_of(recipe, "skipped", "data.on_error=skip")
    assert "data.train: 2 photographs are skipped: " in log
    assert "broken.png: " in log
    assert "overflow.tif: " in log


def test_a_damaged_test_file_is_never_skipped(recipe: Path) -> None:
    (recipe.parent / "photos" / "valid" / "broken.png").write_text("not an image")
    with pytest.raises(DataError, match=r"broken\.png"):
        log_of(recipe, "run", "data.on_error=skip")


def test_a_set_without_any_usable_photograph_is_an_error(recipe: Path) -> None:
    for path in (recipe.parent / "photos" / "train").iterdir():
        path.write_text("not an image")
    with pytest.raises(DataError, match=r"(?s)0\.png.*1\.png.*2\.png"):
        log_of(recipe, "run", "data.on_error=skip")


def test_fp16_on_a_cpu_is_an_error_before_a_folder_is_written(recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"precision: fp16 is for accelerators, .*; use bf16, or no"):
        log_of(recipe, "run", "precision=fp16")
    assert not (recipe.parent / "run").exists()


def test_the_base_trains_on_tiles_of_its_own_size(recipe: Path) -> None:
    log = log_of(recipe, "run", "stages.base.tile=40")
    assert "smaller than a tile" not in log
    draw(recipe.parent / "photos" / "train" / "middle.png", 70)
    assert "data.train: skipped, smaller than a tile: middle" in log_of(recipe, "again", "stages.base.tile=40")
    assert "smaller than a tile" not in log_of(recipe, "default")
