"""Claims that metadata survives in every format that has a place for it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.IptcImagePlugin
import PIL.PngImagePlugin
import pytest

from lowvision.imaging import io

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
