"""Read the colour space of AVIF files that is stored as code points, e.g. of HDR photographs.

Sources: ISO/IEC 23000-22 (MIAF) and 14496-12, box `colr` of type `nclx`; the code points are those of ITU-T H.273.
"""

from __future__ import annotations

import struct

BOX = b"colrnclx"
"""Kind and type of the box; its first one describes the colours, later ones auxiliary images."""
LIKE_SRGB = frozenset({(1, 13), (1, 2), (2, 13), (2, 2)})
"""Primaries and transfer function of sRGB, or unspecified ones, which files without a profile have anyway."""


def code_points(content: bytes) -> bytes | None:
    """Return the data of a PNG chunk cICP for the decoded RGB values; None for sRGB and if nothing is stored."""
    at = content.find(BOX) + len(BOX)
    if at < len(BOX) or at + 4 > len(content):
        return None
    primaries, transfer = struct.unpack_from(">HH", content, at)
    if (primaries, transfer) in LIKE_SRGB or max(primaries, transfer) > 255:
        return None
    return bytes([primaries, transfer, 0, 1])  # decoded values are RGB (0) of the full range (1)
