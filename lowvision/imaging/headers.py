"""The size of an image from its header, before a decoder allocates memory for it.

Sources: PNG (ISO 15948, 11.2.2), WebP (RFC 9649, 2.5 to 2.7), Radiance HDR, PFM. The decoders
of these four give no size before they allocate memory; for all other formats the decoder itself gives it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from lowvision.imaging.formats import HDR, PFM, PNG, WEBP, ImageFormat

Size = tuple[int, int]
"""Width and height in pixels as stored, before the orientation is applied."""
LONGEST_TEXT = 2**16
"""Bytes in which the text header of a Radiance file must end."""


def size(content: bytes, image_format: ImageFormat) -> Size | None:
    """Return width and height from a PNG, WebP, HDR or PFM header; None if there is none."""
    try:
        return READERS[image_format](content)
    except (struct.error, IndexError):
        return None  # truncated; the decoder reports it


def is_lossless_webp(content: bytes) -> bool:
    """Return True if all images of a WebP file are stored without loss."""
    kinds, at = set(), 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sL", content, at)
        kinds.add(kind)
        # A frame of an animation holds the chunks of an image after 16 bytes.
        at += 24 if kind == b"ANMF" else 8 + length + length % 2
    return b"VP8L" in kinds and b"VP8 " not in kinds


def _png(content: bytes) -> Size:
    width, height = struct.unpack_from(">LL", content, 16)
    return width, height


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


def _hdr(content: bytes) -> Size | None:
    match = re.search(rb"\n\n-Y (\d{1,9}) \+X (\d{1,9})\n", content[:LONGEST_TEXT])
    return (int(match[2]), int(match[1])) if match else None


def _pfm(content: bytes) -> Size | None:
    match = re.match(rb"P[Ff]\n(\d{1,9}) (\d{1,9})\n", content[:64])
    return (int(match[1]), int(match[2])) if match else None


READERS: dict[ImageFormat, Callable[[bytes], Size | None]] = {PNG: _png, WEBP: _webp, HDR: _hdr, PFM: _pfm}
"""Functions from the content of a file to its size."""
