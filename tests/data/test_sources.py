"""Claims about the stored forms of photographs, and that training data keep their depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lowvision import DataError, Dataset, Photo, Reader, Stored
from lowvision.data import photographs, sources
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder

KNOWN = registry.load()
SR = KNOWN.find("tasks", "sr").component
NOISE = KNOWN.find("tasks", "denoise").component


@dataclass(frozen=True)
class Memory(Reader):
    """A reader of images in memory."""

    images: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return "memory"

    def read(self, key: str) -> bytes | NDArray[Any]:
        return dict(self.images)[key]


class InMemory(Dataset):
    """A data set of two images, one as pixels and one as file content."""

    def photos(self) -> tuple[Photo, ...]:
        reader = Memory((("pixels", PIXELS), ("file", io.encoded(io.Image(PIXELS), ".png"))))
        return tuple(Photo(key, Stored(reader, key)) for key in ("pixels", "file"))


PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def test_photographs_of_a_reader_equal_those_of_files(tmp_path: Path) -> None:
    io.write(tmp_path / "one.png", io.Image(PIXELS))
    (expected,) = photographs.load(Folder(path=str(tmp_path)), SR(scale=2))
    for photograph in photographs.load(InMemory(), SR(scale=2)):
        assert np.array_equal(photograph.gt, expected.gt)
        assert expected.lq is not None
        assert photograph.lq is not None
        assert np.array_equal(photograph.lq, expected.lq)
        assert not photograph.is_grey


def test_pairs_of_a_reader_are_used_unchanged() -> None:
    half = PIXELS[::2, ::2].copy()
    reader = Memory((("gt", PIXELS), ("lq", half)))

    class Pairs(Dataset):
        def photos(self) -> tuple[Photo, ...]:
            return (Photo("one", Stored(reader, "gt"), Stored(reader, "lq")),)

    (photograph,) = photographs.load(Pairs(), SR(scale=2))
    assert np.array_equal(photograph.lq, half)  # type: ignore[arg-type]  # it has one


def test_the_fingerprint_depends_on_the_content() -> None:
    first, second = Memory((("a", PIXELS),)), Memory((("a", PIXELS + 1),))
    assert sources.fingerprint(Stored(first, "a")) != sources.fingerprint(Stored(second, "a"))
    assert sources.fingerprint(Stored(first, "a")) == sources.fingerprint(Stored(Memory((("a", PIXELS),)), "a"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no image", "memory/a: not an image of a known format"),
        (PIXELS.astype(np.int64), r"memory/a: holds int64 of shape \(24, 32, 3\)"),
        (PIXELS[..., :2], r"memory/a: holds uint8 of shape \(24, 32, 2\)"),
    ],
    ids=str,
)
def test_an_unusable_image_is_named(content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        sources.read_rgb(Stored(Memory((("a", content),)), "a"))


def test_a_missing_key_is_named() -> None:
    with pytest.raises(DataError, match=r"memory/b: cannot be read: KeyError"):
        sources.fingerprint(Stored(Memory(()), "b"))


def test_grey_pixels_become_rgb() -> None:
    stored = Stored(Memory((("a", PIXELS[..., 0]),)), "a")
    assert np.array_equal(sources.read_rgb(stored), np.repeat(PIXELS[..., :1], 3, axis=2))
    assert sources.is_grey(stored)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_training_data_keep_their_bit_depth_exactly(tmp_path: Path, dtype: Any) -> None:
    draw = np.random.default_rng(0)
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    pixels = draw.random((24, 32, 3), np.float32) if top == 1 else draw.integers(0, top, (24, 32, 3), dtype, True)
    io.write(tmp_path / "one.tif", io.Image(pixels))
    (photograph,) = photographs.load(Folder(path=str(tmp_path)), NOISE())
    assert photograph.gt.dtype == dtype
    assert np.array_equal(photograph.gt, pixels)
    (shrunk,) = photographs.load(Folder(path=str(tmp_path)), SR(scale=2))
    assert shrunk.lq is not None
    assert shrunk.lq.dtype == dtype


def test_floats_above_white_are_clamped(tmp_path: Path) -> None:
    io.write(tmp_path / "one.tif", io.Image(np.array([[[-1, 0.25, 3]] * 4] * 4, np.float32)))
    (photograph,) = photographs.load(Folder(path=str(tmp_path)), NOISE())
    assert np.array_equal(photograph.gt[0, 0], np.array([0, 0.25, 1], np.float32))
