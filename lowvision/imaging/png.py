"""Read and insert the chunks of PNG files: metadata, colour space, transparency of grey.

Source: PNG, third edition (W3C, 2025), section 11.3.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from lowvision.imaging.image import Metadata

Chunk = tuple[bytes, bytes]
"""Name and data."""
SIGNATURE_AND_HEADER = 33
"""Bytes before the second chunk."""
COLOUR = (b"cICP", b"mDCV", b"cLLI", b"gAMA", b"cHRM", b"sRGB")
TEXT = (b"tEXt", b"zTXt", b"iTXt")
XMP_KEYWORD = b"XML:com.adobe.xmp\0"
LARGEST_PROFILE = 2**24
"""Bytes of a decompressed ICC profile; 16 MiB is some times the largest one in use."""
METRE = 39.37007874015748
"""Inches per metre."""
GREY = 0
"""Colour type of grey without alpha."""


def chunks(content: bytes) -> Iterator[Chunk]:
    """Yield all chunks except those of pixels, to the end or to the first damaged one."""
    at = 8
    while at + 12 <= len(content):
        length, name = struct.unpack_from(">L4s", content, at)
        if at + 12 + length > len(content):
            return
        if name not in (b"IDAT", b"fdAT"):
            yield name, content[at + 8 : at + 8 + length]
        at += 12 + length


def is_animated(content: bytes) -> bool:
    """Return True if a PNG file is an animation of several frames."""
    at = content.find(b"acTL", 0, content.find(b"IDAT") + 1 or None)
    return at > 0 and len(content) >= at + 8 and struct.unpack_from(">L", content, at + 4)[0] > 1


def read_blocks(content: bytes) -> tuple[bytes | None, bytes | None, Metadata]:
    """Return EXIF, ICC and all other metadata."""
    exif = icc = xmp = dpi = aspect = None
    kept: list[Chunk] = []
    for name, data in chunks(content):
        if name == b"eXIf":
            exif = data
        elif name == b"iCCP":
            icc = _profile(data)
        elif name == b"pHYs" and len(data) == 9:
            x, y = struct.unpack_from(">LL", data)
            dpi = (x / METRE, y / METRE) if data[8] == 1 else dpi
            aspect = (x, y) if data[8] == 0 and x != y and x and y else None
        elif name == b"iTXt" and data.startswith(XMP_KEYWORD):
            xmp = _plain_text(data[len(XMP_KEYWORD) :])
        elif name in TEXT or name in COLOUR:
            kept.append((name, data))
    return exif, icc, Metadata(xmp=xmp, dpi=dpi, aspect=aspect, png=tuple(kept))


def transparent_grey(content: bytes) -> tuple[int, int] | None:
    """Return the grey value that is transparent, and the bits per value; None if there is none."""
    depth, kind = content[24], content[25]
    value = next((data for name, data in chunks(content) if name == b"tRNS"), b"")
    if kind != GREY or len(value) != 2:
        return None
    return int.from_bytes(value, "big") & (2**depth - 1), depth


def with_chunks(content: bytes, more: Iterable[Chunk]) -> bytes:
    """Return a PNG file with more chunks, before its pixels."""
    inserted = b"".join(
        struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data)) for name, data in more
    )
    return content[:SIGNATURE_AND_HEADER] + inserted + content[SIGNATURE_AND_HEADER:]


def blocks_to_write(exif: bytes | None, icc: bytes | None, metadata: Metadata) -> Iterator[Chunk]:
    """Yield the chunks of all metadata, in an order that the standard allows."""
    yield from (chunk for chunk in metadata.png if chunk[0] in COLOUR)
    if icc:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)
    if metadata.dpi:
        x, y = (round(value * METRE) for value in metadata.dpi)
        yield b"pHYs", struct.pack(">LLB", x, y, 1)
    elif metadata.aspect:
        yield b"pHYs", struct.pack(">LLB", *metadata.aspect, 0)
    if exif:
        yield b"eXIf", exif
    if metadata.xmp:
        yield b"iTXt", XMP_KEYWORD + b"\0\0\0\0" + metadata.xmp
    yield from (chunk for chunk in metadata.png if chunk[0] in TEXT)


def comment(text: bytes) -> Chunk:
    """Return a comment of another format, in ASCII, UTF-8 or Latin-1, as a chunk of text."""
    text = text.replace(b"\0", b" ")
    if text.isascii():
        return b"tEXt", b"Comment\0" + text
    try:
        text.decode()
    except UnicodeDecodeError:
        return b"tEXt", b"Comment\0" + text
    return b"iTXt", b"Comment\0\0\0\0\0" + text


def _profile(data: bytes) -> bytes | None:
    name_end = data.find(b"\0")
    try:
        return zlib.decompressobj().decompress(data[name_end + 2 :], LARGEST_PROFILE) if name_end > 0 else None
    except zlib.error:
        return None


def _plain_text(data: bytes) -> bytes | None:
    """Return the text of an iTXt chunk after its keyword; None if it is damaged."""
    if len(data) < 2:
        return None
    _, _, text = data[2:].split(b"\0", 2) if data[2:].count(b"\0") >= 2 else (b"", b"", None)
    if text is None or not data[0]:
        return text
    try:
        return zlib.decompressobj().decompress(text, LARGEST_PROFILE)
    except zlib.error:
        return None
