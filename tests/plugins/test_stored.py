"""Claims about images in archives: their names in messages, and the fingerprint of their content."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowvision.plugins.stored import Reader, Stored


class Memory(Reader):
    """Images in memory."""

    def __init__(self, **images: bytes | NDArray[np.generic]) -> None:
        self.images = images

    def __str__(self) -> str:
        return "photos.lmdb"

    def read(self, key: str) -> bytes | NDArray[np.generic]:
        return self.images[key]


def test_an_image_is_named_by_its_archive_and_its_key() -> None:
    assert str(Stored(Memory(), "in/a.png")) == "photos.lmdb/in/a.png"


def test_the_fingerprint_changes_with_the_content_alone() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    changed = pixels.copy()
    changed[1, 1, 2] = 1
    reader = Memory(a=pixels, same=pixels.copy(), b=changed, content=pixels.tobytes())
    assert reader.fingerprint("a") == reader.fingerprint("same") == reader.fingerprint("content")
    assert reader.fingerprint("a") != reader.fingerprint("b")


def test_the_fingerprint_of_a_view_is_that_of_its_copy() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    reader = Memory(view=pixels[:, ::-1], copy=pixels[:, ::-1].copy(), whole=pixels)
    assert reader.fingerprint("view") == reader.fingerprint("copy") != reader.fingerprint("whole")
