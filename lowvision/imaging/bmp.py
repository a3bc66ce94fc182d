"""Read the ICC profile of BMP files of version 5, which Pillow leaves out.

Source: Microsoft, "Bitmap header types" and BITMAPV5HEADER.
"""

from __future__ import annotations

import struct

FILE_HEADER = 14
"""Bytes before the header of the bitmap, from which offsets are counted."""
VERSION_5 = 124
"""Bytes of the header."""
EMBEDDED = b"DEBM"
"""Kind of colour space of an embedded profile."""


def profile(content: bytes) -> bytes | None:
    """Return the embedded ICC profile; None if there is none, or if it is cut short."""
    header = content[FILE_HEADER : FILE_HEADER + VERSION_5]
    if len(header) < VERSION_5 or struct.unpack_from("<L", header)[0] < VERSION_5 or header[56:60] != EMBEDDED:
        return None
    offset, size = struct.unpack_from("<LL", header, 112)
    data = content[FILE_HEADER + offset : FILE_HEADER + offset + size]
    return data if size and len(data) == size else None
