"""Edit what an XMP packet repeats of the pixels: their orientation and size.

Source: XMP specification, part 2, schemas tiff and exif; a property is an attribute or an element.
"""

from __future__ import annotations

import re

VALUE = rb"""(?:\s*=\s*["']|>)\s*"""
"""Bytes between the name of a property and its value."""
ORIENTATION = re.compile(rb"(tiff:Orientation" + VALUE + rb")[1-8]")
WIDTH = re.compile(rb"((?:exif:PixelXDimension|tiff:ImageWidth)" + VALUE + rb")\d+")
HEIGHT = re.compile(rb"((?:exif:PixelYDimension|tiff:ImageLength)" + VALUE + rb")\d+")


def upright(packet: bytes) -> bytes:
    """Return the packet with orientation 1, for pixels that were turned."""
    return ORIENTATION.sub(rb"\g<1>1", packet)


def with_size(packet: bytes, width: int, height: int) -> bytes:
    """Return the packet with all its size properties set, in pixels."""
    packet = WIDTH.sub(rb"\g<1>%d" % width, packet)
    return HEIGHT.sub(rb"\g<1>%d" % height, packet)
