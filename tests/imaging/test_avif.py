"""Claims about the colour space of AVIF files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from lowvision.imaging import avif, io, png

SRGB = b"colrnclx\0\x01\0\x0d"


def photograph(colour: bytes) -> bytes:
    """Return a file whose primaries and transfer function are replaced."""
    buffer = BytesIO()
    PIL.Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(buffer, "AVIF")
    content = buffer.getvalue()
    assert content.count(SRGB) == 1
    return content.replace(SRGB, b"colrnclx" + colour)


@pytest.mark.parametrize(("colour", "expected"), [(b"\0\x09\0\x10", (9, 16)), (b"\0\x0c\0\x0d", (12, 13))])
def test_the_colour_space_of_hdr_and_wide_gamut_is_written_into_a_png(
    tmp_path: Path, colour: bytes, expected: tuple[int, int]
) -> None:
    (tmp_path / "a.avif").write_bytes(photograph(colour))
    io.write(tmp_path / "b.png", io.read(tmp_path / "a.avif"))
    chunks = dict(png.chunks((tmp_path / "b.png").read_bytes()))
    assert chunks[b"cICP"] == bytes([*expected, 0, 1])


@pytest.mark.parametrize(
    "content", [photograph(SRGB[8:]), photograph(b"\0\x02\0\x02"), b"", b"colrnclx\0", b"colrnclx\xff\xff\0\1"]
)
def test_srgb_and_damaged_boxes_need_no_code_points(content: bytes) -> None:
    assert avif.code_points(content) is None
