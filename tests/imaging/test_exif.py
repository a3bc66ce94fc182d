"""Claims about tag directories: EXIF blocks are set upright and resized in place, and TIFF files carry them."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from lowvision.imaging import exif

MAKER, MODEL, DATE, PIXELS_WIDE, PIXELS_HIGH, LATITUDE = 271, 272, 36867, 40962, 40963, 2
CAMERA = "Kamera"
ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def block(order: str = "<", orientation: int = 6) -> bytes:
    """Return an EXIF block written by Pillow in either byte order: camera, orientation, size and GPS position."""
    tags = PIL.Image.Exif()
    tags.endian = order
    tags[MAKER], tags[exif.ORIENTATION] = CAMERA, orientation
    tags.get_ifd(exif.EXIF).update({DATE: "2026:01:02 03:04:05", PIXELS_WIDE: 70, PIXELS_HIGH: 33})
    tags.get_ifd(exif.GPS).update({1: "N", LATITUDE: (48.0, 8.0, 15.5)})
    return tags.tobytes().removeprefix(b"Exif\0\0")


def reread(content: bytes) -> PIL.Image.Exif:
    """Return the tags that Pillow reads from a block."""
    tags = PIL.Image.Exif()
    tags.load(b"Exif\0\0" + content)
    return tags


def tiff(channels: int = 3, **options: object) -> bytes:
    buffer = io.BytesIO()
    pixels = np.resize(np.arange(251, dtype=np.uint8), (33, 70, channels))
    PIL.Image.fromarray(pixels).save(buffer, "TIFF", **options)
    return buffer.getvalue()


@ORDERS
@given(turn=st.integers(min_value=1, max_value=8))
def test_the_orientation_is_read_in_both_byte_orders(order: str, turn: int) -> None:
    assert exif.orientation(block(order, turn)) == turn


@pytest.mark.parametrize("turn", [0, 9, 65535])
def test_an_orientation_that_is_not_defined_counts_as_upright(turn: int) -> None:
    assert exif.orientation(block(orientation=turn)) == 1


@ORDERS
def test_upright_changes_only_the_orientation(order: str) -> None:
    content = block(order)
    upright = exif.upright(content)
    assert upright is not None
    assert len(upright) == len(content)
    assert exif.orientation(upright) == 1
    before, after = reread(content), reread(upright)
    assert (before.pop(exif.ORIENTATION), after.pop(exif.ORIENTATION)) == (6, 1)
    assert dict(after) == dict(before)
    for folder in (exif.EXIF, exif.GPS):
        assert after.get_ifd(folder) == before.get_ifd(folder) != {}


@ORDERS
def test_upright_drops_the_thumbnail(order: str) -> None:
    content = bytearray(block(order))
    (entries,) = struct.unpack_from(f"{order}H", content, 8)
    link = 8 + 2 + 12 * entries
    struct.pack_into(f"{order}L", content, link, 8)  # a second directory, as thumbnails have one
    upright = exif.upright(bytes(content))
    assert upright is not None
    assert upright[link : link + 4] == bytes(4)


@ORDERS
@given(width=st.integers(min_value=1, max_value=2**32 - 1), height=st.integers(min_value=1, max_value=2**32 - 1))
def test_the_size_of_the_result_replaces_that_of_the_photograph(order: str, width: int, height: int) -> None:
    sized = exif.with_size(block(order), width, height)
    details = reread(sized).get_ifd(exif.EXIF)
    assert (details[PIXELS_WIDE], details[PIXELS_HIGH]) == (width, height)
    assert details[DATE] == "2026:01:02 03:04:05"


def test_a_block_without_size_tags_is_unchanged() -> None:
    tags = PIL.Image.Exif()
    tags[MAKER] = CAMERA
    content = tags.tobytes().removeprefix(b"Exif\0\0")
    assert exif.with_size(content, 5, 6) == content


@given(content=st.binary(max_size=120) | st.integers(0, len(block()) - 1).map(lambda n: block()[:n]))
def test_a_damaged_block_does_not_prevent_decoding(content: bytes) -> None:
    assert exif.orientation(content) in range(1, 9)
    upright = exif.upright(content)
    assert upright is None or len(upright) == len(content)
    assert len(exif.with_size(content, 5, 6)) == len(content)
    exif.from_tiff(content)


def test_random_bytes_are_not_an_exif_block() -> None:
    assert exif.orientation(b"noise") == 1
    assert exif.upright(b"noise") is None
    assert exif.with_size(b"noise", 5, 6) == b"noise"
    assert exif.from_tiff(b"noise") is None
    assert exif.described(b"noise") == {}


@ORDERS
def test_tags_of_a_block_are_packed_unchanged(order: str) -> None:
    packed = struct.pack("<2sHL", b"II", 42, 8) + exif.packed(exif.described(block(order)), 8)
    content = reread(packed)
    assert content[MAKER] == CAMERA
    assert content.get_ifd(exif.EXIF)[DATE] == "2026:01:02 03:04:05"
    assert content.get_ifd(exif.GPS)[LATITUDE] == (48.0, 8.0, 15.5)


def test_storage_tags_of_another_file_are_not_copied() -> None:
    compressed = ImageFileDirectory_v2()
    compressed[MODEL] = "Modell"
    block_ = exif.from_tiff(tiff(compression="tiff_lzw", tiffinfo=compressed))
    assert block_ is not None
    assert dict(reread(block_)) == {MODEL: "Modell"}


def test_a_tiff_without_description_gets_no_description() -> None:
    assert exif.from_tiff(tiff()) is None


def test_reading_a_self_referencing_directory_ends() -> None:
    looped = struct.pack("<2sHLHHHLLL", b"II", 42, 8, 1, exif.EXIF, exif.LONG, 1, 8, 0)
    block_ = exif.from_tiff(looped)
    assert block_ is None or len(block_) < 200


def pointers(entries: int, order: str = "<", tag: int = exif.EXIF) -> bytes:
    """Return a directory whose entries all point to itself."""
    entry = struct.pack(f"{order}HHLL", tag, exif.LONG, 1, 8)
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HL", 42, 8)
    return start + struct.pack(f"{order}H", entries) + entry * entries + bytes(4)


@ORDERS
@pytest.mark.parametrize("entries", [400, 5000, 60000])
def test_thousands_of_pointers_to_one_directory_are_read_within_a_second(order: str, entries: int) -> None:
    content = pointers(entries, order)
    began = time.process_time()
    exif.from_tiff(content)
    exif.described(content)
    exif.upright(content)
    assert len(exif.with_size(content, 5, 6)) == len(content)
    assert time.process_time() - began < 1


@ORDERS
def test_thousands_of_tags_sharing_a_large_value_are_refused_before_copying(order: str) -> None:
    entries, large = 4000, 700_000
    directory = b"".join(struct.pack(f"{order}HHLL", tag, 7, large, 100_000) for tag in range(40000, 40000 + entries))
    inner = 100
    outer = struct.pack(f"{order}HHLL", exif.EXIF, exif.LONG, 1, inner)
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HL", 42, 8) + struct.pack(f"{order}H", 1) + outer
    content = start.ljust(inner, b"\0") + struct.pack(f"{order}H", entries) + directory
    content = content.ljust(100_000 + large, b"\1")
    tracemalloc.start()
    try:
        assert exif.from_tiff(content) is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(content)
