"""Claims that IPTC and resources of Photoshop survive between JPEG and TIFF."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.IptcImagePlugin
import PIL.PngImagePlugin
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from lowvision.imaging import io, iptc
from lowvision.imaging.image import Image, Metadata

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


IPTC = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x78\0\x03abc"


def rewritten(tmp_path: Path, name: str, target: str) -> Path:
    """Read a file and write it as another one."""
    io.write(tmp_path / target, io.read(tmp_path / name), quality=100)
    return tmp_path / target


def test_iptc_of_a_tiff_survives(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", PIXELS, photometric="rgb", metadata=None, extratags=[(33723, 7, len(IPTC), IPTC, True)]
    )
    with tifffile.TiffFile(rewritten(tmp_path, "a.tif", "b.tif")) as file:
        assert file.pages[0].tags[33723].value == IPTC


def resource(number: int, data: bytes, name: bytes = b"") -> bytes:
    """A resource of Photoshop, as Adobe's specification describes it: name and data are padded to an even length."""
    named = bytes([len(name)]) + name + b"\0" * ((len(name) + 1) % 2)
    return b"8BIM" + struct.pack(">H", number) + named + struct.pack(">L", len(data)) + data + b"\0" * (len(data) % 2)


IIM = b"\x1c\x02\x78\0\x03abc"
"""IPTC with a caption, `abc`, as Pillow reads it."""


def iptc_of(path: Path) -> dict[tuple[int, int], bytes]:
    with PIL.Image.open(path) as file:
        return PIL.IptcImagePlugin.getiptcinfo(file)


@pytest.mark.parametrize("names", [(b"",), (b"", b"a path")])
def test_iptc_and_resources_of_a_jpeg_survive_in_a_tiff_and_back(
    tmp_path: Path, names: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    resources = [resource(2000 + n, b"p" * 31, name) for n, name in enumerate(names)] + [resource(0x0404, IIM)]
    data = b"Photoshop 3.0\0" + b"".join(resources)
    extra = struct.pack(">BBH", 0xFF, 0xED, len(data) + 2) + data
    PIL.Image.fromarray(PIXELS).save(tmp_path / "a.jpg", extra=extra)
    with tifffile.TiffFile(rewritten(tmp_path, "a.jpg", "b.tif")) as file:
        assert file.pages[0].tags[33723].value == IIM
        assert bytes(file.pages[0].tags[34377].value) == b"".join(resources)
    with PIL.Image.open(rewritten(tmp_path, "b.tif", "c.jpg")) as file:
        assert [segment for segment in file.applist if segment[0] == "APP13"] == [("APP13", data)]
    assert iptc_of(tmp_path / "c.jpg") == {(2, 0x78): b"abc"}
    assert not caplog.text


@pytest.mark.parametrize("kind", [1, 4, 7])
@pytest.mark.parametrize("order", ["<", ">"])
def test_iptc_of_a_tiff_alone_survives_in_a_jpeg(tmp_path: Path, kind: int, order: str) -> None:
    count = len(IIM) // (4 if kind == 4 else 1)
    tag = (33723, kind, count, IIM if kind != 4 else struct.unpack(f"{order}2L", IIM), True)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", metadata=None, byteorder=order, extratags=[tag])
    assert iptc_of(rewritten(tmp_path, "a.tif", "b.jpg")) == {(2, 0x78): b"abc"}


def test_resources_that_are_larger_than_a_segment_survive_in_several(tmp_path: Path) -> None:
    resources = resource(2000, bytes(100_000)) + resource(0x0404, IIM)
    tags = ((34377, 7, len(resources), resources),)
    io.write(tmp_path / "a.jpg", Image(PIXELS, metadata=Metadata(tiff=tags)))
    with tifffile.TiffFile(rewritten(tmp_path, "a.jpg", "b.tif")) as file:
        assert bytes(file.pages[0].tags[34377].value) == resources
        assert file.pages[0].tags[33723].value == IIM


@pytest.mark.parametrize("damage", [b"8BIM\x04\x04\0\0\0\0\x10\0abc", b"8BIM\x04", b"not a resource"])
def test_damaged_resources_are_reported_and_the_image_is_decoded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    io.write(tmp_path / "a.tif", Image(PIXELS, metadata=Metadata(jpeg=(("APP13", b"Photoshop 3.0\0" + damage),))))
    assert "cannot hold: IPTC and Photoshop's resources of JPEG" in caplog.text
    caplog.clear()
    io.write(tmp_path / "a.jpg", Image(PIXELS, metadata=Metadata(tiff=((34377, 7, len(damage), damage),))))
    assert "cannot hold: Photoshop's resources of TIFF" in caplog.text


RESOURCES = st.lists(st.tuples(st.integers(2000, 2999), st.binary(max_size=50), st.binary(max_size=9)), max_size=4)


@given(resources=RESOURCES, caption=st.binary(max_size=40), largest=st.integers(40, 400))
def test_resources_survive_in_tags_and_in_segments_of_any_size(
    resources: list[tuple[int, bytes, bytes]], caption: bytes, largest: int
) -> None:
    packed = b"".join(resource(*each) for each in resources) + resource(0x0404, b"\x1c" + caption)
    as_tiff = iptc.for_tiff(Metadata(jpeg=(("APP13", iptc.PREFIX + packed), ("COM", b"a comment"))))
    assert as_tiff.jpeg == (("COM", b"a comment"),)
    assert {tag: data for tag, _, _, data in as_tiff.tiff} == {34377: packed, 33723: b"\x1c" + caption}
    as_jpeg = iptc.for_jpeg(as_tiff, largest)
    segments = [data for name, data in as_jpeg.jpeg if name == "APP13"]
    assert all(len(data) <= largest for data in segments)
    assert b"".join(data.removeprefix(iptc.PREFIX) for data in segments) == packed
    assert not as_jpeg.tiff


def test_the_iptc_of_its_own_tag_replaces_that_among_the_resources() -> None:
    resources = resource(0x0404, b"\x1cold") + resource(2000, b"a path")
    tags = ((34377, 7, len(resources), resources), (33723, 7, 4, b"\x1cnew"))
    ((name, data),) = iptc.for_jpeg(Metadata(tiff=tags), 1000).jpeg
    assert (name, data) == ("APP13", iptc.PREFIX + resource(2000, b"a path") + resource(0x0404, b"\x1cnew"))


def test_metadata_of_other_kinds_is_unchanged() -> None:
    metadata = Metadata(jpeg=(("APP13", b"of another program"), ("COM", b"a")), tiff=((285, 2, 2, b"a\0"),))
    for converted in (iptc.for_tiff(metadata), iptc.for_jpeg(metadata, 1000)):
        assert (converted.jpeg, converted.tiff) == (metadata.jpeg, metadata.tiff)


@given(st.binary(max_size=30))
def test_any_damage_of_resources_keeps_the_tag(damage: bytes) -> None:
    resources = resource(2000, b"a path")[:-3] + damage
    kept = iptc.for_jpeg(Metadata(tiff=((34377, 7, len(resources), resources),)), 1000)
    assert bool(kept.tiff) != bool(kept.jpeg)
