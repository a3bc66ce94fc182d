"""Tag directories, the structure that EXIF blocks and TIFF files share: read, set upright, carry across.

Source: TIFF 6.0, section 2; EXIF 2.32, section 4.6. A damaged block counts as none: metadata must not cost an image.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

WIDTH, HEIGHT, ORIENTATION, ALPHA, ICC = 256, 257, 274, 338, 34675
MEANING, SAMPLES = 262, 277
"""Tags that tell what a TIFF's numbers mean, and how many make a pixel."""
WHITE_IS_ZERO, CMYK = 0, 5
"""Values of MEANING."""
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
FOLDERS = frozenset({EXIF, GPS, INTEROPERABILITY})
"""Tags whose value is the place of another directory."""
DESCRIPTIVE = frozenset({270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, EXIF, GPS})
"""Tags of a TIFF's first directory that describe the photograph (camera, date ...), not the pixels' storage."""
PIXELS_WIDE = frozenset({WIDTH, 40962})
"""Tags that tell how wide the image is, of the first directory and of the EXIF one."""
PIXELS_HIGH = frozenset({HEIGHT, 40963})
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes that one value of each type takes."""
WORDS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
"""Bytes that change places between byte orders, for the types where they do."""
SHORT, LONG, UNDEFINED = 3, 4, 7
DAMAGED = (struct.error, KeyError, ValueError)
"""What reading a damaged block raises."""


@dataclass(frozen=True)
class Tag:
    """The values of one tag: their type, how many, and their bytes in little-endian order."""

    kind: int
    count: int
    value: bytes


Directory = dict[int, "Tag | Directory"]


def orientation(block: bytes) -> int:
    """How the pixels of an EXIF block's image must be turned, 1..8; 1 (not at all) without a valid tag."""
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
    """The EXIF block with orientation 1 and without its thumbnail, which shows the image as it was; None if damaged.

    Edited in place: makers' notes hold absolute positions and would not survive a rewrite.
    """
    try:
        edited = bytearray(block)
        order = _byte_order(edited)
        _set_short(edited, order, ORIENTATION, 1)
        start = _first(edited, order)
        (length,) = struct.unpack_from(f"{order}H", edited, start)
        struct.pack_into(f"{order}L", edited, start + 2 + 12 * length, 0)  # no second directory: the thumbnail's
    except DAMAGED:
        return None
    return bytes(edited)


def with_size(block: bytes, width: int, height: int) -> bytes:
    """The EXIF block with the image's size, in pixels, wherever it tells one; a damaged block stays as it is."""
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
    """The TIFF file with its alpha declared as multiplied in, so that libtiff does not multiply it in while reading."""
    try:
        edited = bytearray(tiff)
        _set_short(edited, _byte_order(edited), ALPHA, 1)
    except DAMAGED:
        return tiff
    return bytes(edited)


def from_tiff(tiff: bytes) -> tuple[bytes | None, bytes | None]:
    """The EXIF block and the ICC profile of a TIFF file, each None where it has none."""
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
    """Width and height of a TIFF file's first image, in pixels; None where it does not tell."""
    width, height = _numbers(tiff, WIDTH, HEIGHT)
    return None if width is None or height is None else (width, height)


def layout_of_tiff(tiff: bytes) -> tuple[int | None, int | None]:
    """What a TIFF file's numbers mean (`WHITE_IS_ZERO`, `CMYK` ...) and how many make a pixel, as far as it tells."""
    meaning, samples = _numbers(tiff, MEANING, SAMPLES)
    return meaning, samples


def _numbers(tiff: bytes, *wanted: int) -> list[int | None]:
    """The values of some tags of a TIFF file's first directory, each None where it does not tell."""
    try:
        order = _byte_order(tiff)
        directory = _read(tiff, order, _first(tiff, order), depth=0)
    except DAMAGED:
        return [None] * len(wanted)
    found = [directory.get(tag) for tag in wanted]
    return [int.from_bytes(tag.value, "little") if isinstance(tag, Tag) else None for tag in found]


def into_tiff(tiff: bytes, exif: bytes | None, icc: bytes | None, alpha: bool) -> bytes:
    """A little-endian TIFF file with an EXIF block, an ICC profile and a note that its last channel is alpha.

    The pixels stay where they are; a new first directory is appended and the header points to it.
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
        directory[ALPHA] = Tag(SHORT, 1, struct.pack("<H", 2))  # 2: not multiplied into the colours
    pixels = _even(tiff)
    return pixels[:4] + struct.pack("<L", len(pixels)) + pixels[8:] + _packed(directory, len(pixels))


def _byte_order(block: bytes | bytearray) -> str:
    orders = {b"II*\0": "<", b"MM\0*": ">"}
    return orders[bytes(block[:4])]


def _first(block: bytes | bytearray, order: str) -> int:
    """Where the first directory starts."""
    return int(struct.unpack_from(f"{order}L", block, 4)[0])


def _set_short(block: bytearray, order: str, wanted: int, value: int) -> None:
    """Overwrite the value of a tag in the first directory, where it has the tag once and as a short."""
    for at, tag, kind, count in _entries(block, order):
        if (tag, kind, count) == (wanted, SHORT, 1):
            struct.pack_into(f"{order}H", block, at + 8, value)


def _entries(block: bytes | bytearray, order: str, start: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Position, tag, type and count of each entry of a directory, the first one unless told."""
    start = _first(block, order) if start is None else start
    (length,) = struct.unpack_from(f"{order}H", block, start)
    for at in range(start + 2, start + 2 + 12 * length, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHL", block, at)
        yield at, tag, kind, count


def _read(block: bytes, order: str, start: int, depth: int = 2) -> Directory:
    """The directory at `start` with the folders in it, `depth` deep at most: a loop in a file must not catch us."""
    directory: Directory = {}
    for at, tag, kind, count in _entries(block, order, start):
        size = SIZES.get(kind, 0) * count
        place = at + 8 if size <= 4 else int(struct.unpack_from(f"{order}L", block, at + 8)[0])
        value = block[place : place + size]
        if not value or len(value) < size:
            continue
        if order == ">":
            value = _swapped(value, WORDS.get(kind, 1))
        if tag not in FOLDERS:
            directory[tag] = Tag(kind, count, value)
        elif depth > 0:
            directory[tag] = _read(block, order, int.from_bytes(value, "little"), depth - 1)
    return directory


def _packed(directory: Directory, start: int) -> bytes:
    """A little-endian directory that stands at `start` of its file, followed by what its entries point to."""
    head = struct.pack("<H", len(directory))
    rest, rest_at = b"", start + 2 + 12 * len(directory) + 4
    for tag, item in sorted(directory.items()):
        place = rest_at + len(rest)
        if isinstance(item, dict):
            head += struct.pack("<HHLL", tag, LONG, 1, place)
            rest += _even(_packed(item, place))
        elif len(item.value) <= 4:
            head += struct.pack("<HHL4s", tag, item.kind, item.count, item.value)
        else:
            head += struct.pack("<HHLL", tag, item.kind, item.count, place)
            rest += _even(item.value)
    return head + struct.pack("<L", 0) + rest


def _even(block: bytes) -> bytes:
    """Padded to a whole number of words, where TIFF wants values to begin."""
    return block + b"\0" * (len(block) % 2)


def _swapped(value: bytes, word: int) -> bytes:
    return b"".join(value[at : at + word][::-1] for at in range(0, len(value), word))
