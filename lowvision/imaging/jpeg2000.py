"""Read the metadata of JPEG 2000 files, which Pillow leaves out: the ICC profile, EXIF and XMP.

Sources: ISO 15444-1, annex I (boxes, colour specification); the XMP specification, part 3, for the identifier of XMP.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER, COLOUR, UUID = b"jp2h", b"colr", b"uuid"
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EXIF = b"JpgTiffExif->JP2"
PROFILES = (2, 3)
"""Methods of a colour specification that is an ICC profile: restricted or any."""


def read_blocks(content: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Return EXIF, ICC and XMP; None for each that is missing, all for a bare codestream."""
    exif = icc = xmp = None
    for kind, data in _boxes(content):
        if kind == HEADER:
            colours = [
                inner for inside, inner in _boxes(data) if inside == COLOUR and inner[:1] and inner[0] in PROFILES
            ]
            icc = colours[0][3:] if colours else None
        elif kind == UUID and data.startswith(XMP):
            xmp = data[len(XMP) :]
        elif kind == UUID and data.startswith(EXIF):
            exif = data[len(EXIF) :]
    return exif, icc, xmp


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and data of each box, to the end or to the first damaged one."""
    at = 0
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">L4s", content, at)
        start = at + 8
        if length == 1 and at + 16 <= len(content):  # a longer length follows
            (length,), start = struct.unpack_from(">Q", content, start), at + 16
        end = at + length if length else len(content)
        if end < start or end > len(content):
            return
        yield kind, content[start:end]
        at = end
