"""Read, edit and write tag directories, the structure that EXIF blocks and TIFF files share.

Source: TIFF 6.0, section 2; EXIF 2.32, section 4.6. Damaged blocks are ignored: an image is worth more than metadata.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT, ORIENTATION = 256, 257, 274
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
FOLDERS = frozenset({EXIF, GPS, INTEROPERABILITY})
"""Tags whose value is the offset of another directory."""
RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT = 282, 283, 296
DESCRIPTIVE = frozenset(
    {269, 270, 271, 272, RESOLUTION_X, RESOLUTION_Y, RESOLUTION_UNIT, 305, 306, 315, 316, 33432, EXIF, GPS}
) | frozenset({18246, 18249, *range(40091, 40096)})
"""Tags of a TIFF's first directory that describe the photograph (camera, date, rating, title), not the storage of
pixels; those of the second set are Microsoft's."""
PER_INCH = {2: 1.0, 3: 2.54}
"""Factors to pixels per inch, by the unit of the resolution: inch, centimetre."""
PIXELS_WIDE = frozenset({WIDTH, 40962})
"""Tags of the image width, in the first and in the EXIF directory."""
PIXELS_HIGH = frozenset({HEIGHT, 40963})
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes per value of each type; those from 16 on are BigTIFF's."""
WORD_SIZES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes that are reversed between byte orders, for the types that depend on it."""
SHORT, LONG, RATIONAL = 3, 4, 5
TURNED = frozenset({5, 6, 7, 8})
"""Orientations that exchange width and height."""
MOST_ENTRIES = 4096
"""Largest number of entries that are read from one block; cameras write some hundred."""
DAMAGED = (struct.error, KeyError, ValueError)
"""Exceptions that reading a damaged block raises."""


@dataclass(frozen=True)
class Tag:
    """The values of one tag: their type, their number, and their bytes in little-endian order."""

    kind: int
    count: int
    value: bytes


Directory = dict[int, "Tag | Directory"]
_ONE = Tag(5, 1, struct.pack("<LL", 1, 1))
NO_RESOLUTION = {RESOLUTION_X: _ONE, RESOLUTION_Y: _ONE, RESOLUTION_UNIT: Tag(SHORT, 1, struct.pack("<H", 1))}
"""Tags that declare square pixels without a size, which many programs write into every TIFF."""


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
        if orientation(block) in TURNED:
            _swap_resolution(edited, order)
        _set_short(edited, order, ORIENTATION, 1)
        start = _first(edited, order)
        (length,) = struct.unpack_from(f"{order}H", edited, start)
        struct.pack_into(
            f"{order}L", edited, start + 2 + 12 * length, 0
        )  # removes the second directory, the thumbnail's
    except DAMAGED:
        return None
    return bytes(edited)


def resolution(block: bytes) -> tuple[float, float] | None:
    """Return pixels per inch, horizontally and vertically; None if the block has none."""
    directory = described(block)
    values, unit = [], directory.get(RESOLUTION_UNIT)
    for tag in (RESOLUTION_X, RESOLUTION_Y):
        item = directory.get(tag)
        if not isinstance(item, Tag) or item.kind != RATIONAL or item.count != 1:
            return None
        numerator, denominator = struct.unpack("<LL", item.value)
        values.append(numerator / denominator if denominator else 0.0)
    factor = PER_INCH.get(int.from_bytes(unit.value, "little") if isinstance(unit, Tag) else 2)
    return (values[0] * factor, values[1] * factor) if factor and min(values) > 0 else None


def with_size(block: bytes, width: int, height: int) -> bytes:
    """Return the EXIF block with all its size tags set, in pixels; unchanged if damaged."""
    try:
        edited = bytearray(block)
        order = _byte_order(edited)
        entries = list(_entries(edited, order))
        details = next((at for at, tag, *_ in entries if tag == EXIF), None)
        if details is not None:
            entries += _entries(edited, order, struct.unpack_from(f"{order}L", edited, details + 8)[0])
        for at, tag, kind, count in entries:
            if tag in PIXELS_WIDE | PIXELS_HIGH and kind in {SHORT, LONG} and count == 1:
                value = width if tag in PIXELS_WIDE else height
                struct.pack_into(f"{order}HLL", edited, at + 2, LONG, 1, value)
    except DAMAGED:
        return block
    return bytes(edited)


def from_tiff(tiff: bytes, start: int | None = None, turn: int = 1) -> bytes | None:
    """Return the tags that describe the photograph of a TIFF page as an EXIF block; None if it has none.

    start: offset of the page's directory; None: that of the first page. BigTIFF files are read too. turn: orientation
    that is applied to the pixels.
    """
    try:
        layout = _layout(tiff)
        directory = _Reader(tiff, layout).directory(_first_of(tiff, layout) if start is None else start, DESCRIPTIVE)
    except DAMAGED:
        return None
    if [directory.get(tag) for tag in NO_RESOLUTION] == list(NO_RESOLUTION.values()):
        directory = {tag: item for tag, item in directory.items() if tag not in NO_RESOLUTION}
    if turn in TURNED and directory.keys() >= {RESOLUTION_X, RESOLUTION_Y}:
        x, y = directory[RESOLUTION_X], directory[RESOLUTION_Y]
        directory |= {RESOLUTION_X: y, RESOLUTION_Y: x}
    return struct.pack("<2sHL", b"II", 42, 8) + packed(directory, 8) if directory else None


def described(block: bytes) -> Directory:
    """Return the tags of an EXIF block that describe the photograph; none if it is damaged."""
    try:
        layout = _layout(block)
        return _Reader(block, layout).directory(_first_of(block, layout), DESCRIPTIVE)
    except DAMAGED:
        return {}


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


def _swap_resolution(block: bytearray, order: str) -> None:
    """Exchange the horizontal and the vertical resolution, by the offsets of their values."""
    places = {
        tag: at + 8
        for at, tag, kind, count in _entries(block, order)
        if tag in (RESOLUTION_X, RESOLUTION_Y) and (kind, count) == (RATIONAL, 1)
    }
    if len(places) == 2:
        x, y = places[RESOLUTION_X], places[RESOLUTION_Y]
        block[x : x + 4], block[y : y + 4] = block[y : y + 4], block[x : x + 4]


def _entries(block: bytes | bytearray, order: str, start: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Yield offset, tag, type and count of each entry of a directory, by default the first one."""
    start = _first(block, order) if start is None else start
    (length,) = struct.unpack_from(f"{order}H", block, start)
    for at in itertools.islice(range(start + 2, start + 2 + 12 * length, 12), MOST_ENTRIES):
        tag, kind, count = struct.unpack_from(f"{order}HHL", block, at)
        yield at, tag, kind, count


@dataclass(frozen=True)
class _Layout:
    """Byte order and widths of a tag directory."""

    order: str
    count: str
    """Format of the number of entries."""
    entry: str
    """Format of tag, type, count and value of an entry."""
    offset: str
    """Format of an offset, which has the size of a value inside an entry."""


def _layout(content: bytes) -> _Layout:
    order = {b"II": "<", b"MM": ">"}[content[:2]]
    (version,) = struct.unpack_from(f"{order}H", content, 2)
    return {
        42: _Layout(order, f"{order}H", f"{order}HHL4s", f"{order}L"),
        43: _Layout(order, f"{order}Q", f"{order}HHQ8s", f"{order}Q"),  # BigTIFF
    }[version]


def _first_of(content: bytes, layout: _Layout) -> int:
    """Return the offset of the first directory of a TIFF or BigTIFF file."""
    return int(struct.unpack_from(layout.offset, content, struct.calcsize(layout.offset))[0])


class _Reader:
    """Reader of directories with limits, because a small file may refer to the same bytes, or to itself, many times."""

    def __init__(self, content: bytes, layout: _Layout) -> None:
        self.content, self.layout = content, layout
        self.entries, self.bytes = MOST_ENTRIES, len(content)  # what may still be read: honest values do not overlap

    def directory(self, start: int, tags: frozenset[int] | None = None, depth: int = 2) -> Directory:
        """Return the directory at `start` and those in it; tags: those to read, None: all. Raises ValueError."""
        directory: Directory = {}
        (length,) = struct.unpack_from(self.layout.count, self.content, start)
        start += struct.calcsize(self.layout.count)
        size = struct.calcsize(self.layout.entry)
        for at in itertools.islice(range(start, start + size * length, size), self.entries + 1):
            self.entries -= 1
            tag, kind, count, value = struct.unpack_from(self.layout.entry, self.content, at)
            if (tags is not None and tag not in tags) or tag in directory:
                continue
            item = self._value(kind, count, value)
            if item and tag not in FOLDERS:
                directory[tag] = Tag(kind, count, item)
            elif item and depth > 0:
                directory[tag] = self.directory(int.from_bytes(item, "little"), depth=depth - 1)
        if self.entries < 0:
            raise ValueError("too many entries")
        return directory

    def _value(self, kind: int, count: int, inside: bytes) -> bytes:
        """Return the bytes of a value in little-endian order; empty if they are not in the file."""
        size = SIZES.get(kind, 0) * count
        if size <= len(inside):
            value = inside[:size]
        else:
            (offset,) = struct.unpack(self.layout.offset, inside)
            self.bytes -= size
            if self.bytes < 0:
                raise ValueError("values larger than the file")
            value = self.content[offset : offset + size]
            if len(value) < size:
                return b""
        return _swapped(value, WORD_SIZES.get(kind, 1)) if self.layout.order == ">" else value


def packed(directory: Directory, start: int) -> bytes:
    """Return a little-endian directory at offset `start` of its file, followed by the data of its entries."""
    head = struct.pack("<H", len(directory))
    data, data_start = bytearray(), start + 2 + 12 * len(directory) + 4
    for tag, item in sorted(directory.items()):
        offset = data_start + len(data)
        if isinstance(item, dict):
            head += struct.pack("<HHLL", tag, LONG, 1, offset)
            data += _even(packed(item, offset))
        elif len(item.value) <= 4:
            head += struct.pack("<HHL4s", tag, item.kind, item.count, item.value)
        else:
            head += struct.pack("<HHLL", tag, item.kind, item.count, offset)
            data += _even(item.value)
    return head + struct.pack("<L", 0) + bytes(data)


def _even(block: bytes) -> bytes:
    """Return the block padded to an even length: TIFF values start at even offsets."""
    return block + b"\0" * (len(block) % 2)


def _swapped(value: bytes, word: int) -> bytes:
    """Return a value whose words have their bytes reversed."""
    return np.frombuffer(value, np.uint8).reshape(-1, word)[:, ::-1].tobytes()
