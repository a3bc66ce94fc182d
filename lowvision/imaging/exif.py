"""Read, edit and write tag directories, the structure that EXIF blocks and TIFF files share.

Source: TIFF 6.0, section 2; EXIF 2.32, section 4.6. Damaged blocks are ignored: an image is worth more than metadata.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

WIDTH, HEIGHT, ORIENTATION, ALPHA, ICC = 256, 257, 274, 338, 34675
MEANING, SAMPLES = 262, 277
"""Tags of a TIFF's photometric interpretation and of its samples per pixel."""
WHITE_IS_ZERO, CMYK = 0, 5
"""Values of MEANING."""
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
FOLDERS = frozenset({EXIF, GPS, INTEROPERABILITY})
"""Tags whose value is the offset of another directory."""
DESCRIPTIVE = frozenset({270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, EXIF, GPS})
"""Tags of a TIFF's first directory that describe the photograph (camera, date), not the storage of pixels."""
PIXELS_WIDE = frozenset({WIDTH, 40962})
"""Tags of the image width, in the first and in the EXIF directory."""
PIXELS_HIGH = frozenset({HEIGHT, 40963})
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes per value of each type."""
WORD_SIZES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""Bytes that are reversed between byte orders, for the types that depend on it."""
SHORT, LONG, UNDEFINED = 3, 4, 7
DAMAGED = (struct.error, KeyError, ValueError)
"""Exceptions that reading a damaged block raises."""


@dataclass(frozen=True)
class Tag:
    """The values of one tag: their type, their number, and their bytes in little-endian order."""

    kind: int
    count: int
    value: bytes


Directory = dict[int, "Tag | Directory"]


def orientation(block: bytes) -> int:
    """Return the orientation 1..8 in an EXIF block; 1, no rotation, if there is no valid tag."""
    try:
        order = _byte_order(block)
        for at, tag, kind, count in _entries(block, order):
            if (tag, kind, count) == (ORIENTATION, SHORT, 1):
                turn = int(struct.unpack_from(f"{order}H", block, at + 8)[0])
                return turn if 1 <= turn <= 8 else 1
    except DAMAGED:
        pass
    return 1


def upright(block: bytes) -> bytes | None:
    """Return the EXIF block with orientation 1 and without its thumbnail, which is not rotated; None if damaged.

    The block is edited, not rewritten: makers' notes contain absolute offsets.
    """
    try:
        edited = bytearray(block)
        order = _byte_order(edited)
        _set_short(edited, order, ORIENTATION, 1)
        start = _first(edited, order)
        (length,) = struct.unpack_from(f"{order}H", edited, start)
        struct.pack_into(
            f"{order}L", edited, start + 2 + 12 * length, 0
        )  # removes the second directory, the thumbnail's
    except DAMAGED:
        return None
    return bytes(edited)


def with_size(block: bytes, width: int, height: int) -> bytes:
    """Return the EXIF block with all its size tags set, in pixels; unchanged if damaged."""
    try:
        edited = bytearray(block)
        order = _byte_order(edited)
        entries = list(_entries(edited, order))
        for at, tag, *_ in tuple(entries):
            if tag == EXIF:
                entries += _entries(edited, order, struct.unpack_from(f"{order}L", edited, at + 8)[0])
        for at, tag, kind, count in entries:
            if tag in PIXELS_WIDE | PIXELS_HIGH and kind in {SHORT, LONG} and count == 1:
                value = width if tag in PIXELS_WIDE else height
                struct.pack_into(f"{order}HLL", edited, at + 2, LONG, 1, value)
    except DAMAGED:
        return block
    return bytes(edited)


def with_plain_alpha(tiff: bytes) -> bytes:
    """Return the TIFF file with its alpha declared as premultiplied, so that libtiff keeps the colours."""
    try:
        edited = bytearray(tiff)
        _set_short(edited, _byte_order(edited), ALPHA, 1)
    except DAMAGED:
        return tiff
    return bytes(edited)


def from_tiff(tiff: bytes) -> tuple[bytes | None, bytes | None]:
    """Return the EXIF block and the ICC profile of a TIFF file, each None if it has none."""
    try:
        order = _byte_order(tiff)
        directory = _read(tiff, order, _first(tiff, order))
    except DAMAGED:
        return None, None
    profile = directory.get(ICC)
    described = {tag: value for tag, value in directory.items() if tag in DESCRIPTIVE}
    exif = struct.pack("<2sHL", b"II", 42, 8) + _packed(described, 8) if described else None
    return exif, profile.value if isinstance(profile, Tag) else None


def size_of_tiff(tiff: bytes) -> tuple[int, int] | None:
    """Return width and height of a TIFF file's first image, in pixels; None if it lacks the tags."""
    width, height = _numbers(tiff, WIDTH, HEIGHT)
    return None if width is None or height is None else (width, height)


def layout_of_tiff(tiff: bytes) -> tuple[int | None, int | None]:
    """Return the photometric interpretation, e.g. `CMYK`, and the samples per pixel; None if absent."""
    meaning, samples = _numbers(tiff, MEANING, SAMPLES)
    return meaning, samples


def _numbers(tiff: bytes, *tags: int) -> list[int | None]:
    """Return the values of tags in a TIFF file's first directory, each None if absent."""
    try:
        order = _byte_order(tiff)
        directory = _read(tiff, order, _first(tiff, order), depth=0)
    except DAMAGED:
        return [None] * len(tags)
    values = [directory.get(tag) for tag in tags]
    return [int.from_bytes(value.value, "little") if isinstance(value, Tag) else None for value in values]


def into_tiff(tiff: bytes, exif: bytes | None, icc: bytes | None, alpha: bool) -> bytes:
    """Return a little-endian TIFF file with an EXIF block, an ICC profile, and its last channel declared as alpha.

    The pixels keep their offsets; a new first directory is appended, and the header points to it.
    """
    directory = _read(tiff, "<", _first(tiff, "<"), depth=0)
    if exif is not None:
        try:
            order = _byte_order(exif)
            described = _read(exif, order, _first(exif, order))
            directory |= {tag: value for tag, value in described.items() if tag in DESCRIPTIVE}
        except DAMAGED:
            pass
    if icc is not None:
        directory[ICC] = Tag(UNDEFINED, len(icc), icc)
    if alpha:
        directory[ALPHA] = Tag(SHORT, 1, struct.pack("<H", 2))  # 2: not premultiplied
    pixels = _even(tiff)
    return pixels[:4] + struct.pack("<L", len(pixels)) + pixels[8:] + _packed(directory, len(pixels))


def _byte_order(block: bytes | bytearray) -> str:
    orders = {b"II*\0": "<", b"MM\0*": ">"}
    return orders[bytes(block[:4])]


def _first(block: bytes | bytearray, order: str) -> int:
    """Return the offset of the first directory."""
    return int(struct.unpack_from(f"{order}L", block, 4)[0])


def _set_short(block: bytearray, order: str, target: int, value: int) -> None:
    """Overwrite a tag of the first directory if it is a single short."""
    for at, tag, kind, count in _entries(block, order):
        if (tag, kind, count) == (target, SHORT, 1):
            struct.pack_into(f"{order}H", block, at + 8, value)


def _entries(block: bytes | bytearray, order: str, start: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Yield offset, tag, type and count of each entry of a directory, by default the first one."""
    start = _first(block, order) if start is None else start
    (length,) = struct.unpack_from(f"{order}H", block, start)
    for at in range(start + 2, start + 2 + 12 * length, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHL", block, at)
        yield at, tag, kind, count


def _read(block: bytes, order: str, start: int, depth: int = 2) -> Directory:
    """Return the directory at `start` and those in it, at most `depth` levels deep, since a file may contain a loop."""
    directory: Directory = {}
    for at, tag, kind, count in _entries(block, order, start):
        size = SIZES.get(kind, 0) * count
        offset = at + 8 if size <= 4 else int(struct.unpack_from(f"{order}L", block, at + 8)[0])
        value = block[offset : offset + size]
        if not value or len(value) < size:
            continue
        if order == ">":
            value = _swapped(value, WORD_SIZES.get(kind, 1))
        if tag not in FOLDERS:
            directory[tag] = Tag(kind, count, value)
        elif depth > 0:
            directory[tag] = _read(block, order, int.from_bytes(value, "little"), depth - 1)
    return directory


def _packed(directory: Directory, start: int) -> bytes:
    """Return a little-endian directory at offset `start` of its file, followed by the data of its entries."""
    head = struct.pack("<H", len(directory))
    data, data_start = b"", start + 2 + 12 * len(directory) + 4
    for tag, item in sorted(directory.items()):
        offset = data_start + len(data)
        if isinstance(item, dict):
            head += struct.pack("<HHLL", tag, LONG, 1, offset)
            data += _even(_packed(item, offset))
        elif len(item.value) <= 4:
            head += struct.pack("<HHL4s", tag, item.kind, item.count, item.value)
        else:
            head += struct.pack("<HHLL", tag, item.kind, item.count, offset)
            data += _even(item.value)
    return head + struct.pack("<L", 0) + data


def _even(block: bytes) -> bytes:
    """Return the block padded to an even length: TIFF values start at even offsets."""
    return block + b"\0" * (len(block) % 2)


def _swapped(value: bytes, word: int) -> bytes:
    return b"".join(value[at : at + word][::-1] for at in range(0, len(value), word))
