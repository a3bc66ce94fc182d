"""Claims about the metadata of JPEG 2000 files."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
from hypothesis import given
from hypothesis import strategies as st

from lowvision.imaging import io, jpeg2000

PROFILE = bytes(16) + b"RGB " + bytes(100)
PACKET = b"<x:xmpmeta/>"


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L4s", 8 + len(data), kind) + data


def photograph() -> bytes:
    """Return a file of Pillow with a profile in place of its colour space, and with EXIF and XMP before its pixels."""
    buffer = BytesIO()
    PIL.Image.fromarray(np.full((16, 24, 3), 90, np.uint8)).save(buffer, "JPEG2000", no_jp2=False)
    content = buffer.getvalue()
    header, pixels = content.index(b"jp2h") - 4, content.index(b"jp2c") - 4
    length = struct.unpack_from(">L", content, header)[0]
    size = content[header + 8 : header + 8 + 22]  # the first box inside, ihdr
    exif = PIL.Image.Exif()
    exif[274] = 6
    blocks = box(b"uuid", jpeg2000.XMP + PACKET) + box(b"uuid", jpeg2000.EXIF + exif.tobytes()[6:])
    inside = size + box(b"colr", b"\2\0\0" + PROFILE)
    return content[:header] + box(b"jp2h", inside) + content[header + length : pixels] + blocks + content[pixels:]


def test_profile_exif_and_xmp_are_read_and_the_orientation_is_applied(tmp_path: Path) -> None:
    (tmp_path / "a.jp2").write_bytes(photograph())
    image = io.read(tmp_path / "a.jp2")
    assert image.pixels.shape == (24, 16, 3)
    assert (image.icc, image.metadata.xmp) == (PROFILE, PACKET)
    assert image.exif is not None


def test_a_bare_codestream_has_no_metadata(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.j2k")
    assert jpeg2000.read_blocks((tmp_path / "a.j2k").read_bytes()) == (None, None, None)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_file_does_not_end_in_an_error_of_its_boxes(at: int, value: int) -> None:
    content = bytearray(photograph())
    content[at % len(content)] = value
    jpeg2000.read_blocks(bytes(content))
    jpeg2000.read_blocks(bytes(content[: at % len(content)]))


def test_a_box_of_the_longer_length_and_the_last_one_without_length_are_read() -> None:
    long = struct.pack(">L4sQ", 1, b"uuid", 16 + 16 + len(PACKET)) + jpeg2000.XMP + PACKET
    assert jpeg2000.read_blocks(long)[2] == PACKET
    assert jpeg2000.read_blocks(struct.pack(">L4s", 0, b"uuid") + jpeg2000.XMP + PACKET)[2] == PACKET
