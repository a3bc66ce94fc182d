"""Claims that metadata survives in every format that has a place for it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.IptcImagePlugin
import PIL.PngImagePlugin
import pytest
import tifffile

from lowvision.imaging import io, png

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


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_xmp_and_resolution_are_turned_together_with_the_pixels(tmp_path: Path, suffix: str) -> None:
    exif = PIL.Image.Exif()
    exif[274], exif[282], exif[283], exif[296] = 6, 300.0, 150.0, 2
    xmp = b"<x:xmpmeta tiff:Orientation='6' exif:PixelXDimension='32'/>"
    PIL.Image.fromarray(PIXELS).save(tmp_path / f"a{suffix}", exif=exif, xmp=xmp)
    if suffix == ".png":  # Pillow writes XMP and the resolution of PNG by other arguments
        text = PIL.PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        PIL.Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif, pnginfo=text, dpi=(300, 150))
    path = rewritten(tmp_path, f"a{suffix}", "b.tif")
    with PIL.Image.open(path) as file:
        assert file.size == (24, 32)
        assert file.info["dpi"] == pytest.approx((150, 300), abs=0.1)
        assert file.getexif().get(274, 1) == 1  # Pillow reads XMP if there is no tag
        assert file.info["xmp"] == b"<x:xmpmeta tiff:Orientation='1' exif:PixelXDimension='24'/>"


@pytest.mark.parametrize("target", ["b.png", "b.bmp", "b.jpg"])
@pytest.mark.parametrize(("value", "unit"), [(300, "INCH"), (118.11, "CENTIMETER")])
def test_the_resolution_of_a_tiff_is_stored_where_other_formats_have_it(
    tmp_path: Path, target: str, value: float, unit: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", resolution=(value, value), resolutionunit=unit)
    path = rewritten(tmp_path, "a.tif", target)
    assert io.read(path).metadata.dpi == pytest.approx((300, 300), abs=0.5)


def test_an_animated_png_keeps_its_text_and_colour_space(tmp_path: Path) -> None:
    frames = [PIL.Image.fromarray(np.roll(PIXELS, k, axis=0)) for k in range(2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=40)
    chunks = [(b"cICP", bytes([9, 16, 0, 1])), (b"gAMA", struct.pack(">L", 45455)), (b"tEXt", b"Title\0hello")]
    (tmp_path / "a.png").write_bytes(png.with_chunks((tmp_path / "a.png").read_bytes(), chunks))
    io.write_frames(tmp_path / "b.png", io.read_frames(tmp_path / "a.png"))
    written = list(png.chunks((tmp_path / "b.png").read_bytes()))
    assert [written.count(chunk) for chunk in chunks] == [1, 1, 1]


@pytest.mark.parametrize("comment", [b"a comment", "Größe".encode(), b"Gr\xf6\xdfe"])
@pytest.mark.parametrize("count", [1, 2])
def test_the_comment_of_a_gif_becomes_text_of_a_png(tmp_path: Path, comment: bytes, count: int) -> None:
    frames = [PIL.Image.fromarray(np.roll(PIXELS, k, axis=0)) for k in range(count)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], comment=comment)
    io.write_frames(tmp_path / "b.png", io.read_frames(tmp_path / "a.gif"))
    with PIL.Image.open(tmp_path / "b.png") as file:
        assert isinstance(file, PIL.PngImagePlugin.PngImageFile)
        assert file.text == {"Comment": "a comment" if comment == b"a comment" else "Größe"}


def test_a_profile_for_other_channels_is_omitted_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile = bytes(16) + b"GRAY" + bytes(100)
    PIL.Image.fromarray(PIXELS).convert("LA").save(tmp_path / "a.png", icc_profile=profile)
    rewritten(tmp_path, "a.png", "b.png")
    assert "b.png: omitted what this format cannot hold: the ICC profile, which describes other channels" in caplog.text


def test_tiff_tags_that_are_lost_are_named_and_titles_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = [(33550, 12, 3, (1.0, 1.0, 0.0), True), (65000, 2, 0, "private", True), (269, 2, 0, "document", True)]
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", extratags=more)
    path = rewritten(tmp_path, "a.tif", "b.tif")
    assert "b.tif: omitted what this format cannot hold: map coordinates, tag 65000" in caplog.text
    with tifffile.TiffFile(path) as file:
        assert file.pages.first.tags[269].value == "document"


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif"])
def test_a_description_of_another_size_is_omitted(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    tifffile.imwrite(tmp_path / name, PIXELS, photometric="rgb")
    image = io.read(tmp_path / name)
    large = io.Image(np.repeat(image.pixels, 2, axis=0), image.exif, image.icc, image.metadata)
    io.write(tmp_path / "b.tif", large)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert 270 not in file.pages.first.tags
        assert file.asarray().shape == (48, 32, 3)
    assert ("states another size than 32x48" in caplog.text) == (name == "a.ome.tif")


def test_the_ome_description_of_an_image_of_the_same_size_is_kept(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, photometric="rgb")
    with tifffile.TiffFile(rewritten(tmp_path, "a.ome.tif", "b.tif")) as file:
        assert file.is_ome


@pytest.mark.parametrize("source", ["a.jpg", "a.png"])
@pytest.mark.parametrize("turn", [1, 6])
def test_the_shape_of_pixels_is_kept(tmp_path: Path, source: str, turn: int) -> None:
    exif = PIL.Image.Exif()
    exif[274] = turn
    PIL.Image.fromarray(PIXELS).save(tmp_path / source, exif=exif)
    content = (tmp_path / source).read_bytes()
    if source == "a.png":
        (tmp_path / source).write_bytes(png.with_chunks(content, [(b"pHYs", struct.pack(">LLB", 2, 1, 0))]))
    else:
        (tmp_path / source).write_bytes(content[:13] + struct.pack(">BHH", 0, 2, 1) + content[18:])
    expected = (2, 1) if turn == 1 else (1, 2)
    for target in ("b.jpg", "b.png"):
        assert io.read(rewritten(tmp_path, source, target)).metadata.aspect == expected
    with tifffile.TiffFile(rewritten(tmp_path, source, "b.tif")) as file:
        tags = file.pages.first.tags
        assert [tags[tag].value for tag in (282, 283, 296)] == [(expected[0], 1), (expected[1], 1), 1]
