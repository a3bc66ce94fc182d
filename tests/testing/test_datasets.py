"""Claims about `check_dataset`: it accepts valid data sets, and reports each fault."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from lowvision import Dataset, Photo, Reader, Stored
from lowvision.imaging import io
from lowvision.plugins.folder_dataset import Folder
from lowvision.plugins.mixed_dataset import Mixed
from lowvision.testing import check_dataset

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Pixels(Reader):
    """The same pixels under every key."""

    def read(self, key: str) -> Any:
        return PIXELS


class Unequal(Reader):
    """A reader without `__eq__`."""

    def read(self, key: str) -> Any:
        return PIXELS


class Unsteady(Pixels):
    """A reader that returns other pixels at every read."""

    numbers: ClassVar[Any] = itertools.count()

    def read(self, key: str) -> Any:
        return PIXELS + np.uint8(next(self.numbers) % 250)


class Listed(Dataset):
    """Data sets with the given fault."""

    fault: str = ""
    """Name of the fault."""

    def photos(self) -> Any:
        photo = Photo("one", Stored(Pixels(), "a"))
        return {
            "": (photo, Photo("two", Stored(Pixels(), "b"), Stored(Pixels(), "c"))),
            "none": (),
            "list": [photo],
            "names": (photo, photo),
            "unequal": (Photo("one", Stored(Unequal(), "a")),),
            "unsteady": (Photo("one", Stored(Unsteady(), "a")),),
            "nothing": (Photo("one", None),),
            "missing": (Photo("one", Path("missing.png")),),
        }[self.fault]


def test_valid_data_sets_pass(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        io.write(tmp_path / folder / "one.png", io.Image(PIXELS))
    check_dataset(Listed())
    check_dataset(Folder(path=str(tmp_path / "a")))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("none", "returns none; raise DataError"),
        ("list", "must return a tuple of Photo"),
        ("names", "two photographs are called 'one'"),
        ("unequal", "differs from its copy; make it a frozen dataclass|returns another list"),
        ("unsteady", "fingerprint changes|has other pixels"),
        ("nothing", "has neither gt nor lq"),
        ("missing", "missing.png"),
    ],
)
def test_every_fault_is_named(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_dataset(Listed(fault=fault))


def test_pairs_of_several_scales_are_refused(tmp_path: Path) -> None:
    for name, side in (("HR/a", 8), ("LR/a", 4), ("HR/b", 9), ("LR/b", 3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        io.write(tmp_path / f"{name}.png", io.Image(np.zeros((side, side, 3), np.uint8)))
    with pytest.raises(AssertionError, match="gt is 2 or 3 times as large as lq; it has one scale"):
        check_dataset(Folder(path=str(tmp_path)))


def test_a_missing_data_set_is_named() -> None:
    with pytest.raises(AssertionError, match="give the check a set that is there"):
        check_dataset(Folder(path="/nowhere/at/all"))


def test_a_mixed_data_set_passes(tmp_path: Path) -> None:
    io.write(tmp_path / "one.png", io.Image(PIXELS))
    check_dataset(Mixed(of=(Folder(path=str(tmp_path)), Folder(path=str(tmp_path), scales=(0.5,))), shares=(1.0, 2.0)))
