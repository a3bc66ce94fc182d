"""Claims about the orientation and size inside an XMP packet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.imaging import xmp


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (b'<d tiff:Orientation="6" a="6"/>', b'<d tiff:Orientation="1" a="6"/>'),
        (b"<d tiff:Orientation = '8'/>", b"<d tiff:Orientation = '1'/>"),
        (b"<tiff:Orientation> 3</tiff:Orientation>", b"<tiff:Orientation> 1</tiff:Orientation>"),
        (b'<d tiff:Orientation="9" text="Orientation 6"/>', b'<d tiff:Orientation="9" text="Orientation 6"/>'),
    ],
)
def test_the_orientation_becomes_upright_and_nothing_else_changes(packet: bytes, expected: bytes) -> None:
    assert xmp.upright(packet) == expected


def test_all_sizes_are_set_as_attributes_and_elements() -> None:
    packet = b'<d exif:PixelXDimension="40" exif:PixelYDimension="32"/><tiff:ImageWidth>40</tiff:ImageWidth>'
    expected = b'<d exif:PixelXDimension="160" exif:PixelYDimension="128"/><tiff:ImageWidth>160</tiff:ImageWidth>'
    assert xmp.with_size(packet, 160, 128) == expected


@given(st.binary(max_size=100))
def test_a_packet_without_these_properties_is_unchanged(packet: bytes) -> None:
    assert xmp.with_size(xmp.upright(packet), 1, 1) == packet
