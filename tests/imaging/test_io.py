"""Claims about reading and writing image files."""

from __future__ import annotations

import functools
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
import pytest
import torch
from image_files import decoded, noise, saved

from lowvision.errors import DataError
from lowvision.imaging import exif as tags
from lowvision.imaging import io
from lowvision.imaging.io import Image

H, W = 40, 56
LOSSLESS_8 = [".png", ".tif", ".bmp", ".webp"]
TOLERANCE = {".jpg": 6.0}


def photograph(channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    """Return a smooth, asymmetric image (H,W,channels) whose gradients differ in every corner and channel."""
    y, x = np.mgrid[0:H, 0:W] / max(H, W)
    planes = np.stack([(x + 0.2) * 0.6, y * 0.9 + 0.05, (x * y + 0.3) * 0.7, 0.4 + 0.5 * x], axis=-1)
    chosen = planes[..., :channels]
    return chosen.astype(np.float32) if dtype is np.float32 else (chosen * np.iinfo(dtype).max).round().astype(dtype)


@functools.cache  # it contains the time of its creation
def icc_profile() -> bytes:
    return PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()


def exif_block(turn: int) -> bytes:
    exif = PIL.Image.Exif()
    exif[271] = "Acme"
    exif[274] = turn
    exif.get_ifd(34665)[33434] = 0.01  # exposure time
    exif.get_ifd(34853)[1] = "N"  # latitude's hemisphere
    return exif.tobytes()


@pytest.mark.parametrize("suffix", LOSSLESS_8)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_eight_bit_images_survive_a_lossless_round_trip(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = photograph(channels)
    io.write(tmp_path / f"a{suffix}", Image(pixels), quality=100)
    back = io.read(tmp_path / f"a{suffix}").pixels
    assert back.dtype == np.uint8
    if suffix == ".webp" and channels == 1:
        pixels = pixels.repeat(3, axis=2)  # WebP has no grey mode
    np.testing.assert_array_equal(back, pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_images_survive_in_16_bit_formats(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = photograph(channels, np.uint16)
    io.write(tmp_path / f"a{suffix}", Image(pixels))
    back = io.read(tmp_path / f"a{suffix}").pixels
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_tiff_floats_beyond_the_unit_range_survive(tmp_path: Path, channels: int) -> None:
    pixels = photograph(channels, np.float32) * 3 - 1
    io.write(tmp_path / "a.tif", Image(pixels))
    np.testing.assert_array_equal(io.read(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_sixteen_bit_images_are_rounded_in_8_bit_formats(tmp_path: Path, suffix: str) -> None:
    pixels = photograph(3, np.uint16)
    io.write(tmp_path / f"a{suffix}", Image(pixels), quality=100)
    back = io.read(tmp_path / f"a{suffix}").pixels
    assert back.dtype == np.uint8
    assert np.abs(back - pixels / 257).max() <= TOLERANCE.get(suffix, 0.5)


def test_jpeg_drops_alpha_and_keeps_grey_grey(tmp_path: Path) -> None:
    io.write(tmp_path / "rgba.jpg", Image(photograph(4)))
    io.write(tmp_path / "grey.jpg", Image(photograph(1)))
    assert io.read(tmp_path / "rgba.jpg").pixels.shape == (H, W, 3)
    assert io.read(tmp_path / "grey.jpg").pixels.shape == (H, W, 1)


def test_colour_and_alpha_are_separated() -> None:
    image = Image(photograph(4))
    assert image.colour.shape == (H, W, 3)
    assert image.alpha is not None
    np.testing.assert_array_equal(image.alpha, photograph(4)[..., 3:])
    assert Image(photograph(1)).alpha is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_exif_and_icc_survive_a_round_trip(tmp_path: Path, suffix: str) -> None:
    exif = exif_block(1).removeprefix(b"Exif\0\0")
    io.write(tmp_path / f"a{suffix}", Image(photograph(), exif, icc_profile()))
    again = io.read(tmp_path / f"a{suffix}")
    io.write(tmp_path / f"b{suffix}", again)
    for name in ("a", "b"):
        with PIL.Image.open(tmp_path / f"{name}{suffix}") as written:
            assert written.info["icc_profile"] == icc_profile()
            assert written.getexif()[271] == "Acme"
            assert float(written.getexif().get_ifd(34665)[33434]) == pytest.approx(0.01)
            assert written.getexif().get_ifd(34853)[1] == "N"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, suffix: str, turn: int) -> None:
    stored = PIL.Image.fromarray(photograph())
    stored.save(tmp_path / f"a{suffix}", exif=exif_block(turn), lossless=True, quality=100, subsampling=0)
    with PIL.Image.open(tmp_path / f"a{suffix}") as file:
        upright = np.asarray(PIL.ImageOps.exif_transpose(file).convert("RGB")).astype(int)

    image = io.read(tmp_path / f"a{suffix}")
    io.write(tmp_path / f"b{suffix}", image, quality=100)

    with PIL.Image.open(tmp_path / f"b{suffix}") as file:
        assert file.getexif().get(274, 1) == 1
    for pixels in (image.pixels, io.read(tmp_path / f"b{suffix}").pixels):
        assert pixels.shape == upright.shape
        assert np.abs(pixels - upright).max() <= TOLERANCE.get(suffix, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_white_is_zero_tiff_is_not_inverted(tmp_path: Path, dtype: type) -> None:
    grey = photograph(1, dtype)
    io.write(tmp_path / "a.tif", Image(grey))
    content = bytearray((tmp_path / "a.tif").read_bytes())
    at = content.rindex(struct.pack("<HHLH", 262, 3, 1, 1))  # black is zero
    struct.pack_into("<H", content, at + 8, 0)
    (tmp_path / "a.tif").write_bytes(content)
    assert np.array_equal(io.read(tmp_path / "a.tif").pixels, np.iinfo(dtype).max - grey)


def test_a_cmyk_tiff_has_no_alpha(tmp_path: Path) -> None:
    PIL.Image.fromarray(photograph()).convert("CMYK").save(tmp_path / "a.tif")
    pixels = io.read(tmp_path / "a.tif").pixels
    assert pixels.shape == (H, W, 3)
    assert np.abs(pixels.astype(int) - photograph()).max() <= TOLERANCE[".jpg"]


def test_an_orientation_of_another_type_is_ignored() -> None:
    block = struct.pack("<2sHLHHHLLL", b"II", 42, 8, 1, 274, 4, 1, 6, 0)
    assert tags.orientation(block) == 1
    assert tags.orientation(block.replace(struct.pack("<HH", 274, 4), struct.pack("<HH", 274, 3))) == 6


def test_only_the_thumbnail_of_a_big_endian_block_is_dropped(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif.endian = ">"
    exif[271], exif[274] = "Acme", 6
    block = bytearray(exif.tobytes().removeprefix(b"Exif\0\0"))
    block[8 + 2 + 2 * 12 : 8 + 2 + 2 * 12 + 4] = len(block).to_bytes(4, "big")  # a second directory: the thumbnail
    block += b"\0\0\0\0\0\0"
    PIL.Image.fromarray(photograph()).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + bytes(block))
    kept = PIL.Image.Exif()
    kept.load(io.read(tmp_path / "a.jpg").exif or b"")
    assert (kept[271], kept[274]) == ("Acme", 1)
    assert not kept.get_ifd(1)


@pytest.mark.parametrize("exif", [b"rubbish", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"])
def test_damaged_metadata_does_not_prevent_decoding(tmp_path: Path, exif: bytes) -> None:
    for suffix in (".png", ".tif"):
        io.write(tmp_path / f"a{suffix}", Image(photograph(), exif, b"rubbish"))
        image = io.read(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(image.pixels, photograph())
        assert image.icc is None


def test_exif_too_long_for_jpeg_is_dropped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exif = exif_block(1).removeprefix(b"Exif\0\0") + bytes(100_000)
    io.write(tmp_path / "a.jpg", Image(photograph(), exif))
    assert io.read(tmp_path / "a.jpg").exif is None
    assert "cannot hold: EXIF" in caplog.text


def test_a_cmyk_jpeg_is_rgb_without_its_cmyk_profile(tmp_path: Path) -> None:
    profile = bytearray(icc_profile())
    profile[16:20] = b"CMYK"
    PIL.Image.fromarray(photograph()).convert("CMYK").save(
        tmp_path / "a.jpg", icc_profile=bytes(profile), quality=100, subsampling=0
    )
    image = io.read(tmp_path / "a.jpg")
    assert image.icc is None
    assert np.abs(image.pixels.astype(int) - photograph()).max() <= TOLERANCE[".jpg"]


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("1", 1), ("L", 1), ("LA", 4), ("RGBA", 4), ("I;16", 1)])
def test_every_kind_of_png_has_one_three_or_four_channels(tmp_path: Path, mode: str, channels: int) -> None:
    if mode == "I;16":
        PIL.Image.fromarray(photograph(1, np.uint16)[..., 0]).save(tmp_path / "a.png")
    else:
        PIL.Image.fromarray(photograph()).convert(mode).save(tmp_path / "a.png")
    assert io.read(tmp_path / "a.png").pixels.shape == (H, W, channels)
    assert io.read_rgb(tmp_path / "a.png").shape == (H, W, 3)


def test_read_rgb_converts_floats_to_16_bit(tmp_path: Path) -> None:
    io.write(tmp_path / "a.tif", Image(np.array([[[-1.0], [0.5], [2.0]]], dtype=np.float32)))
    rgb = io.read_rgb(tmp_path / "a.tif")
    assert rgb.dtype == np.uint16
    assert rgb[0, :, 0].tolist() == [0, 32768, 65535]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_image_is_an_error(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    io.write(tmp_path / f"a{suffix}", Image(noise))
    whole = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="damaged, truncated"):
        io.read(tmp_path / f"a{suffix}")


def test_a_truncated_progressive_jpeg_is_an_error_even_if_padded_with_zeros(tmp_path: Path) -> None:
    buffer = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    half = len(whole) // 2
    (tmp_path / "a.jpg").write_bytes(whole[:half] + bytes(len(whole) - half))
    with pytest.raises(DataError, match="damaged, truncated"):
        io.read(tmp_path / "a.jpg")


def test_a_flipped_bit_in_a_png_is_an_error(tmp_path: Path) -> None:
    io.write(tmp_path / "a.png", Image(photograph()))
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        io.read(tmp_path / "a.png")


def test_a_file_that_is_not_an_image_is_reported_by_name_and_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    for name, reason in [("none.png", "No such file"), ("empty.png", "empty"), ("text.png", "not an image")]:
        with pytest.raises(DataError, match=f"{name}: .*{reason}"):
            io.read(tmp_path / name)
    with pytest.raises(DataError, match="cannot be read"):
        io.read(tmp_path)


def test_integers_of_other_widths_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), np.full((8, 8), 70000, dtype=np.int32))
    with pytest.raises(DataError, match="int32"):
        io.read(tmp_path / "a.tif")


def test_a_failed_write_leaves_only_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(DataError, match="No space left"):
        io.write(target, Image(photograph()))
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_an_unknown_suffix_and_an_impossible_size_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"use one of \.png"):
        io.write(tmp_path / "a.gif", Image(photograph()))
    with pytest.raises(DataError, match="cannot hold an image of 17000x1"):
        io.write(tmp_path / "a.webp", Image(np.zeros((1, 17000, 3), dtype=np.uint8)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_value_survives_conversion_to_a_tensor(dtype: type) -> None:
    values: np.ndarray = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(1, -1, 1)
    x = io.to_tensor(values)
    assert x.shape == (1, 1, values.size)
    assert (x.dtype, x.min().item(), x.max().item()) == (torch.float32, 0.0, 1.0)
    np.testing.assert_array_equal(io.to_pixels(x, dtype), values)


def test_to_uint8_clamps_and_rounds_halves_up() -> None:
    x = torch.tensor([-0.3, 0.5 / 255, 0.49 / 255, 0.5, 1.7]).view(1, 1, 5)
    assert io.to_uint8(x)[0, :, 0].tolist() == [0, 1, 0, 128, 255]


def test_unassociated_tiff_alpha_does_not_change_colours(tmp_path: Path) -> None:
    PIL.Image.fromarray(photograph(4)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(io.read(tmp_path / "a.tif").pixels, photograph(4))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_exif_states_the_size_of_the_written_image(tmp_path: Path, suffix: str) -> None:
    exif = PIL.Image.Exif()
    exif[256], exif[257] = 4000, 3000
    exif.get_ifd(34665)[40962], exif.get_ifd(34665)[40963] = 4000, 3000
    io.write(tmp_path / f"a{suffix}", Image(photograph(), exif.tobytes().removeprefix(b"Exif\0\0")))
    with PIL.Image.open(tmp_path / f"a{suffix}") as written:
        written_tags = written.getexif()
        assert [written_tags.get_ifd(34665)[tag] for tag in (40962, 40963)] == [W, H]
        assert [written_tags[tag] for tag in (256, 257)] == [W, H]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
def test_an_image_above_the_pixel_limit_is_refused_by_its_header(tmp_path: Path, suffix: str) -> None:
    io.write(tmp_path / f"a{suffix}", Image(photograph()))
    assert io.read(tmp_path / f"a{suffix}", largest=H * W).pixels.shape == (H, W, 3)
    with pytest.raises(DataError, match=f"its header declares {W}x{H} pixels"):
        io.read(tmp_path / f"a{suffix}", largest=H * W - 1)


def test_a_small_file_that_claims_to_be_huge_is_not_decoded(tmp_path: Path) -> None:
    io.write(tmp_path / "a.png", Image(photograph()))
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[16:24] = (30000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match="30000x30000 pixels, the limit is 250 million"):
        io.read(tmp_path / "a.png", largest=250_000_000)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinite_pixels_are_refused(tmp_path: Path, value: float) -> None:
    pixels = photograph(dtype=np.float32)
    pixels[2, 3, 1] = value
    io.write(tmp_path / "a.tif", Image(pixels))
    with pytest.raises(DataError, match="NaN or infinite"):
        io.read(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpegs_are_decoded(tmp_path: Path, mode: str, progressive: bool, subsampling: int) -> None:
    smooth = PIL.Image.fromarray(noise(3)[:4, :5]).resize((W, H), PIL.Image.Resampling.BICUBIC)
    content = saved(smooth.convert(mode), "JPEG", quality=98, progressive=progressive, subsampling=subsampling)
    with PIL.Image.open(BytesIO(content)) as file:
        expected = np.atleast_3d(np.asarray(file if mode == "L" else file.convert("RGB")))
    actual = decoded(tmp_path, content)
    assert actual.shape == expected.shape
    assert np.abs(actual.astype(int) - expected).max() <= (4 if mode == "CMYK" else 2)


def test_pfm_floats_are_decoded(tmp_path: Path) -> None:
    for magic, channels in ((b"PF", 3), (b"Pf", 1)):
        values = noise(channels, np.float32)
        height, width = values.shape[:2]
        content = magic + f"\n{width} {height}\n-1.0\n".encode() + values[::-1].tobytes()
        np.testing.assert_allclose(decoded(tmp_path, content), values, rtol=1e-6)
