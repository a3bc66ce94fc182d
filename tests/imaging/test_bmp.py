"""Claims about the ICC profile of BMP files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from lowvision.imaging import bmp, io

PROFILE = bytes(16) + b"RGB " + bytes(100)
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def file_of_version_5(kind: bytes = b"DEBM") -> bytes:
    """Return a BMP file with a profile after its pixels."""
    rows = PIXELS[::-1, :, ::-1].tobytes()  # 24 bytes each, from the bottom
    header = struct.pack("<LllHHLLllLL", 124, 8, 6, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16) + kind + bytes(48)
    header += struct.pack("<LLLL", 4, 124 + len(rows), len(PROFILE), 0)
    size = 14 + len(header) + len(rows) + len(PROFILE)
    return struct.pack("<2sLLL", b"BM", size, 0, 14 + len(header)) + header + rows + PROFILE


def test_an_embedded_profile_is_kept_in_a_png(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").write_bytes(file_of_version_5())
    io.write(tmp_path / "b.png", io.read(tmp_path / "a.bmp"))
    image = io.read(tmp_path / "b.png")
    assert image.icc == PROFILE
    np.testing.assert_array_equal(image.pixels, PIXELS)


@pytest.mark.parametrize(
    "content", [file_of_version_5(b"BGRs"), file_of_version_5()[:-1], b"BM", file_of_version_5()[:80]]
)
def test_a_file_without_an_embedded_profile_has_none(content: bytes) -> None:
    assert bmp.profile(content) is None
