"""The size of an image from its header, before a decoder allocates memory for it.

Sources: PNG (ISO 15948, 11.2.2), JPEG (ITU T.81, B.2.2), WebP (RFC 9649, 2.5 to 2.7), BMP (BITMAPINFOHEADER), TIFF 6.0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from lowvision.imaging import exif
from lowvision.imaging.formats import BMP, JPEG, PNG, TIFF, WEBP

Size = tuple[int, int]
"""Width and height in pixels as stored, before the orientation is applied."""
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Second bytes of the JPEG markers that start a frame header."""
BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Second bytes of the JPEG markers without a segment."""


def size(content: bytes) -> Size | None:
    """Return width and height from a PNG, JPEG, WebP, BMP, GIF or TIFF header; None if there is none."""
    try:
        return next((read(content) for start, read in READERS.items() if content.startswith(start)), None)
    except (struct.error, IndexError):
        return None  # truncated; the decoder reports it


def _png(content: bytes) -> Size:
    width, height = struct.unpack_from(">LL", content, 16)
    return width, height


def _gif(content: bytes) -> Size:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _bmp(content: bytes) -> Size:
    (header,) = struct.unpack_from("<L", content, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ll", content, 18)
    return abs(width), abs(height)  # negative height: rows are stored from the top


def _jpeg(content: bytes) -> Size | None:
    at = content.find(b"\xff", 2)
    while at >= 0:
        while content[at] == 0xFF:  # any number of fill bytes may precede a marker
            at += 1
        marker = content[at]
        at += 1
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 3)
            return width, height
        if marker not in BARE:
            at += struct.unpack_from(">H", content, at)[0]
        at = content.find(b"\xff", at)
    return None


def _webp(content: bytes) -> Size | None:
    kind = content[12:16]
    if kind == b"VP8X":
        return _three_bytes(content, 24) + 1, _three_bytes(content, 27) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<L", content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _three_bytes(content: bytes, at: int) -> int:
    return content[at] | content[at + 1] << 8 | content[at + 2] << 16


READERS: dict[bytes, Callable[[bytes], Size | None]] = {
    **dict.fromkeys(PNG.signatures, _png),
    **dict.fromkeys(JPEG.signatures, _jpeg),
    **dict.fromkeys(WEBP.signatures, _webp),
    **dict.fromkeys(BMP.signatures, _bmp),
    **dict.fromkeys(TIFF.signatures, exif.size_of_tiff),
    b"GIF8": _gif,
}
"""Functions from the content of a file to its size, by the file's first bytes."""
