"""Claims that metadata survives in every format that has a place for it, and that the rest is named."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.IptcImagePlugin
import PIL.PngImagePlugin
import pytest
import tifffile

from lowvision.imaging import io, png
from lowvision.imaging.image import Image, Metadata

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + b"x" * 300 + b"</x:xmpmeta>"
IPTC = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x78\0\x03abc"


def rewritten(tmp_path: Path, name: str, target: str) -> Path:
    """Read a file and write it as another one."""
    io.write(tmp_path / target, io.read(tmp_path / name), quality=100)
    return tmp_path / target


@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.tif", "a.webp", "a.avif"])
@pytest.mark.parametrize("target", ["b.jpg", "b.png", "b.tif", "b.webp"])
def test_xmp_survives_between_all_formats(tmp_path: Path, source: str, target: str) -> None:
    picture = PIL.Image.fromarray(PIXELS)
    if source == "a.png":
        text = PIL.PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
        picture.save(tmp_path / source, pnginfo=text)
    elif source == "a.tif":
        picture.save(tmp_path / source, tiffinfo={700: XMP})
    else:
        picture.save(tmp_path / source, xmp=XMP)
    path = rewritten(tmp_path, source, target)
    assert io.read(path).metadata.xmp == XMP
    with PIL.Image.open(path) as file:
        xmp = file.info.get("xmp")
    assert (xmp.encode() if isinstance(xmp, str) else xmp) == XMP


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif"])
def test_the_resolution_is_kept(tmp_path: Path, suffix: str) -> None:
    PIL.Image.fromarray(PIXELS).save(tmp_path / f"a{suffix}", dpi=(300, 150))
    with PIL.Image.open(rewritten(tmp_path, f"a{suffix}", f"b{suffix}")) as file:
        assert file.info["dpi"] == pytest.approx((300, 150), abs=0.1)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("size", [200, 70_000, 600_000])
def test_profiles_of_any_size_survive(tmp_path: Path, suffix: str, size: int) -> None:
    profile = np.random.default_rng(1).bytes(16) + b"RGB " + np.random.default_rng(2).bytes(size)
    PIL.Image.fromarray(PIXELS).save(tmp_path / f"a{suffix}", icc_profile=profile)
    with PIL.Image.open(rewritten(tmp_path, f"a{suffix}", f"b{suffix}")) as file:
        assert file.info["icc_profile"] == profile


def test_comments_and_iptc_of_a_jpeg_survive(tmp_path: Path) -> None:
    extra = struct.pack(">BBH", 0xFF, 0xED, len(IPTC) + 2) + IPTC
    PIL.Image.fromarray(PIXELS).save(tmp_path / "a.jpg", comment=b"a comment", extra=extra)
    with PIL.Image.open(rewritten(tmp_path, "a.jpg", "b.jpg")) as file:
        assert file.info["comment"] == b"a comment"
        assert ("APP13", IPTC) in file.applist


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
    assert "IPTC and Photoshop's resources of JPEG do not fit" in caplog.text
    caplog.clear()
    io.write(tmp_path / "a.jpg", Image(PIXELS, metadata=Metadata(tiff=((34377, 7, len(damage), damage),))))
    assert "Photoshop's resources of TIFF do not fit" in caplog.text


def test_text_and_colour_space_of_a_png_survive(tmp_path: Path) -> None:
    chunks = (
        (b"cICP", bytes([9, 16, 0, 1])),
        (b"gAMA", struct.pack(">L", 100000)),
        (b"cHRM", struct.pack(">8L", *range(31270, 31278))),
        (b"tEXt", b"Title\0a title"),
        (b"zTXt", b"prompt\0\0" + zlib.compress(b"a prompt")),
        (b"iTXt", "Author\0\0\0\0\0é".encode()),
    )
    io.write(tmp_path / "a.png", Image(PIXELS, metadata=Metadata(png=chunks)))
    content = rewritten(tmp_path, "a.png", "b.png").read_bytes()
    written = [chunk for chunk in png.chunks(content) if chunk in chunks]
    assert written == list(chunks)
    with PIL.Image.open(tmp_path / "b.png") as file:
        assert file.text["Title"] == "a title"
        assert file.text["prompt"] == "a prompt"
        assert file.info["gamma"] == 1.0


@pytest.mark.parametrize(
    ("target", "metadata", "named"),
    [
        ("a.jpg", Metadata(png=((b"gAMA", bytes(4)), (b"tEXt", b"a\0b"))), "PNG text, the colour space"),
        ("a.png", Metadata(jpeg=(("COM", b"a"),)), "comments of JPEG"),
        ("a.webp", Metadata(dpi=(300, 300)), "the resolution"),
        ("a.bmp", Metadata(xmp=XMP), "XMP"),
        ("a.png", Metadata(tiff=((33723, 7, 1, b"a"),)), "IPTC of TIFF"),
    ],
)
def test_metadata_that_a_format_cannot_store_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, target: str, metadata: Metadata, named: str
) -> None:
    io.write(tmp_path / target, Image(PIXELS, metadata=metadata))
    assert named in caplog.text


def test_absent_metadata_is_not_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for suffix in (".png", ".jpg", ".tif", ".webp", ".bmp"):
        io.write(tmp_path / f"a{suffix}", Image(PIXELS))
        assert io.read(tmp_path / f"a{suffix}").exif is None
    assert not caplog.text


def test_a_rotated_avif_becomes_upright_and_keeps_its_profile(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[274] = 6
    profile = bytes(16) + b"RGB " + bytes(100)
    smooth = PIL.Image.fromarray(PIXELS[:3, :4]).resize((32, 24))
    smooth.save(tmp_path / "a.avif", exif=exif, icc_profile=profile, quality=100)
    image = io.read(tmp_path / "a.avif")
    assert image.pixels.shape == (32, 24, 3)
    assert image.icc == profile
    assert np.abs(image.pixels.astype(int) - np.rot90(np.asarray(smooth), -1)).mean() < 6
