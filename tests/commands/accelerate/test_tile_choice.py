"""Claims about the tiles for a network: small if that suffices, with more overlap for a network that sees far."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor
from torch.nn import functional

from lowvision.commands.accelerate import tile_choice
from lowvision.data import photographs
from lowvision.data.photographs import Photograph
from lowvision.imaging import io
from lowvision.imaging.image import Image
from lowvision.models.architecture import Architecture, Tile
from lowvision.plugins.contracts import Task
from lowvision.plugins.folder_dataset import Folder
from lowvision_sr import FSRCNN, SuperResolution

TASK = SuperResolution(scale=2)


class Deep(FSRCNN):
    """A network with the receptive field of a deeper one."""

    radius: int | None

    def reach(self, task: Task) -> int | None:
        return self.radius


def teacher(radius: int | None) -> Architecture:
    return Architecture(task=TASK, branches=(Deep(radius=radius),))


def enlarged(image: Tensor, name: str) -> Tensor:
    """A network that sees one pixel: (C,h,w) -> (C,2h,2w)."""
    return image.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)


def surroundings(image: Tensor, name: str) -> Tensor:
    """A network that depends on all pixels up to a distance of 48."""
    padded = functional.pad(image[None], (48,) * 4, mode="reflect")
    return enlarged(functional.avg_pool2d(padded, 97, stride=1)[0], name)


@pytest.fixture
def noisy(tmp_path: Path) -> tuple[Photograph, ...]:
    for seed in range(2):
        blocks = np.random.default_rng(seed).integers(0, 256, (30, 30, 3), dtype=np.uint8)
        io.write(tmp_path / f"{seed}.png", Image(blocks.repeat(10, axis=0).repeat(10, axis=1)))
    return photographs.load(Folder(path=str(tmp_path), has_gt=False), TASK)


def chosen(radius: int | None, loaded: tuple[Photograph, ...], max_loss: float, run: tile_choice.Run) -> Tile:
    return tile_choice.sufficient(teacher(radius), loaded, max_loss, run, lambda _: None)


def test_tiles_that_give_the_whole_image_overlap_little(noisy: tuple[Photograph, ...]) -> None:
    assert chosen(64, noisy, 0.05, enlarged) == Tile(size=64, overlap=4, merge=tile_choice.WIDE_MERGE)


def test_the_overlap_grows_until_tiles_suffice_for_the_loss(noisy: tuple[Photograph, ...]) -> None:
    tiles = [chosen(349, noisy, max_loss, surroundings) for max_loss in (20.0, 0.3, 0.0)]
    assert [tile.overlap for tile in tiles] == sorted(tile.overlap for tile in tiles)
    assert tiles[0].overlap == tile_choice.OVERLAPS[0]
    assert tiles[-1] == tile_choice.WIDEST


@pytest.mark.parametrize(
    ("radius", "tile"),
    [
        (18, tile_choice.NARROW),
        (63, tile_choice.NARROW),
        (None, Tile(size=64, overlap=4, merge=tile_choice.WIDE_MERGE)),
    ],
)
def test_a_small_receptive_field_and_an_unlimited_one_are_not_measured(
    radius: int | None, tile: Tile, noisy: tuple[Photograph, ...]
) -> None:
    def run(image: Tensor, name: str) -> Tensor:
        raise AssertionError("measured")

    assert chosen(radius, noisy, 0.3, run) == tile


def test_without_photographs_the_smallest_overlap_is_chosen() -> None:
    assert chosen(349, (), 0.3, surroundings).overlap == tile_choice.OVERLAPS[0]


def test_the_needed_fidelity_leaves_half_of_the_squared_error_to_the_students() -> None:
    squared_error = 10 ** (-tile_choice._needed(0.3) / 10)
    assert 10 * math.log10((2 * squared_error + 1e-3) / 1e-3) == pytest.approx(0.3)
    assert tile_choice._needed(0.0) == math.inf
