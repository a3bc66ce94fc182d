"""Claims that TIFFs of every layout are decoded to the written pixels or refused in one line."""

from __future__ import annotations

import itertools
import re
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.IptcImagePlugin
import PIL.PngImagePlugin
import pytest
import tifffile
from image_files import H, W, decoded, noise, rgba_of_grey, saved

from lowvision.errors import DataError
from lowvision.imaging import io


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", ["strips", "tiles"])
@pytest.mark.parametrize("compression", [None, "lzw", "adobe_deflate", "packbits", "zstd"])
def test_tiffs_are_decoded_to_the_written_values(
    tmp_path: Path, bigtiff: bool, order: str, layout: str, compression: str | None
) -> None:
    for dtype, channels, planar in itertools.product(
        [np.uint8, np.uint16, np.float32], [1, 2, 3, 4], ["contig", "separate"]
    ):
        if channels == 1 and planar == "separate":
            continue
        pixels = noise(channels, dtype)
        buffer = BytesIO()
        stored = np.moveaxis(pixels, 2, 0) if planar == "separate" else pixels
        tifffile.imwrite(
            buffer,
            stored[..., 0] if channels == 1 else stored,
            bigtiff=bigtiff,
            byteorder=order,
            photometric="minisblack" if channels < 3 else "rgb",
            planarconfig=None if channels == 1 else planar,
            extrasamples=["unassalpha"] if channels in {2, 4} else None,
            compression=compression,
            predictor=compression in {"lzw", "adobe_deflate", "zstd"},
            metadata=None,
            **({"tile": (16, 32)} if layout == "tiles" else {"rowsperstrip": 5}),
        )
        expected = rgba_of_grey(pixels) if channels == 2 else pixels
        actual = decoded(tmp_path, buffer.getvalue())
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected, f"{np.dtype(dtype)} {channels} {planar}")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA", "I;16", "F", "YCbCr"])
@pytest.mark.parametrize(
    "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4", "group3"]
)
def test_tiffs_of_pillow_are_decoded_as_by_pillow(tmp_path: Path, mode: str, compression: str | None) -> None:
    picture = PIL.Image.fromarray(noise(3))
    if mode == "I;16":
        picture = PIL.Image.fromarray(noise(1, np.uint16)[..., 0])
    else:
        picture = picture.convert("L").convert(mode) if mode == "F" else picture.convert(mode)
    try:
        content = saved(picture, "TIFF", **({"compression": compression} if compression else {}))
    except (OSError, RuntimeError, ValueError, KeyError):
        pytest.skip("libtiff does not write this combination")
    with PIL.Image.open(BytesIO(content)) as file:
        target = {"1": "L", "L": "L", "LA": "RGBA", "RGBA": "RGBA", "I;16": "I;16", "F": "F"}.get(mode, "RGB")
        expected = np.atleast_3d(np.asarray(file.convert(target)))
    if (mode, compression) == ("LA", "jpeg"):  # refused: JPEG with two channels does not occur
        with pytest.raises(DataError, match="rare variant"):
            decoded(tmp_path, content)
        return
    actual = decoded(tmp_path, content)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    if mode == "CMYK":
        return  # Pillow adds black, we multiply: its own claim is below
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2 if compression == "jpeg" else 0)


def test_cmyk_is_converted_by_multiplying_colour_and_black_transmission(tmp_path: Path) -> None:
    ink = noise(4)
    light = 255 - ink.astype(float)
    content = saved(PIL.Image.frombytes("CMYK", (W, H), ink.tobytes()), "TIFF")
    assert np.abs(decoded(tmp_path, content) - light[..., :3] * light[..., 3:] / 255).max() <= 0.51


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("white", ["miniswhite", "minisblack"])
def test_tiffs_below_8_bit_are_scaled_to_the_full_range(tmp_path: Path, bits: int, white: str) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (H, W), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=white, bitspersample=bits, metadata=None)
    expected = (values.astype(int) * 255 / (2**bits - 1)).round()
    expected = 255 - expected if white == "miniswhite" else expected
    np.testing.assert_array_equal(io.read(tmp_path / "a.tif").pixels[..., 0], expected)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_white_is_zero_tiff_is_not_inverted(tmp_path: Path, bigtiff: bool, dtype: type) -> None:
    values = noise(1, dtype)[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite", bigtiff=bigtiff, metadata=None)
    white = 1 if dtype is np.float32 else np.iinfo(dtype).max
    np.testing.assert_array_equal(io.read(tmp_path / "a.tif").pixels[..., 0], white - values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_associated_alpha_is_divided_out(tmp_path: Path, dtype: type, bigtiff: bool) -> None:
    largest = 1 if dtype is np.float32 else np.iinfo(dtype).max
    straight = noise(4, np.float64)
    premultiplied = np.concatenate([straight[..., :3] * straight[..., 3:], straight[..., 3:]], axis=2) * largest
    stored = (premultiplied + (0 if dtype is np.float32 else 0.5)).astype(dtype)
    stored[0, 0] = 0
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"], bigtiff=bigtiff, metadata=None
    )
    actual = io.read(tmp_path / "a.tif").pixels
    np.testing.assert_array_equal(actual[..., 3], stored[..., 3])
    assert (actual[0, 0] == 0).all()
    visible = straight[..., 3] > 0.1
    error = np.abs(actual[visible, :3] / largest - straight[visible, :3])
    assert error.max() < (0.04 if dtype is np.uint8 else 1e-3)  # a step of 1/255 over an alpha of 0.1


def test_palette_tiffs_of_8_and_16_bit_colours_are_decoded(tmp_path: Path) -> None:
    index = noise(1)[..., 0]
    palette = np.random.default_rng(1).integers(0, 256, (3, 256), dtype=np.uint16)
    for stored in (palette, palette * 257):
        tifffile.imwrite(tmp_path / "a.tif", index, photometric="palette", colormap=stored, metadata=None)
        np.testing.assert_array_equal(io.read(tmp_path / "a.tif").pixels, palette.T[index])


def test_process_memory_never_appears_in_pixels(tmp_path: Path) -> None:
    """Fill freed memory with a pattern, which no pixel of a planar, truncated or sparse file may show."""
    pixels = noise(3, np.uint16)
    buffer = BytesIO()
    tifffile.imwrite(buffer, np.moveaxis(pixels, 2, 0), photometric="rgb", planarconfig="separate", metadata=None)
    content = buffer.getvalue()
    for _ in range(20):
        planted = [np.full((H, W, 3), 0xA5A5, np.uint16) for _ in range(50)]
        del planted
        np.testing.assert_array_equal(decoded(tmp_path, content), pixels)
        for share in (0.3, 0.6, 0.99):
            with pytest.raises(DataError, match="damaged, truncated"):
                decoded(tmp_path, content[: int(len(content) * share)])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "lzw", "adobe_deflate"])
def test_a_tiff_without_some_of_its_strips_is_refused(
    tmp_path: Path, dtype: type, planar: str, compression: str | None
) -> None:
    pixels = noise(3, dtype)
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.moveaxis(pixels, 2, 0) if planar == "separate" else pixels,
        photometric="rgb",
        planarconfig=planar,
        compression=compression,
        rowsperstrip=5,
        metadata=None,
    )
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tag = file.pages[0].tags["StripByteCounts"]
        entry, offset = tag.offset, tag.valueoffset
    content = bytearray((tmp_path / "a.tif").read_bytes())
    fewer = bytearray(content)
    struct.pack_into("<L", fewer, entry + 4, 2)
    sparse = bytearray(content)
    sparse[offset : offset + 4] = bytes(4)
    for damaged in (fewer, sparse):
        with pytest.raises(DataError, match="damaged, truncated"):
            decoded(tmp_path, bytes(damaged))


def entries(content: bytes, order: str, big: bool) -> list[int]:
    """The offsets of the entries of the first directory of a TIFF file."""
    offset, count, first, size = ("Q", "Q", 8, 20) if big else ("L", "H", 4, 12)
    (start,) = struct.unpack_from(order + offset, content, first)
    (number,) = struct.unpack_from(order + count, content, start)
    return [start + struct.calcsize(order + count) + n * size for n in range(number)]


def refusal(content: bytes, name: str) -> str:
    """Return the message with which an image is refused; empty if it is decoded."""
    try:
        io.decode(content, name)
    except DataError as error:
        return str(error)
    return ""


FAR = (0, 1, 255, 2**16 - 1, 2**32 - 1, 2**64 - 1)
"""Values at the ends of the types that a tag may have."""


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_with_a_tag_out_of_range_gives_pixels_or_one_line_that_names_it(
    tmp_path: Path, big: bool, order: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Type, count and value of every tag, each at the ends of its range."""
    buffer = BytesIO()
    more = [(tag, 7, 9, b"123456789", True) for tag in (700, 33723, 34377, 34675)]
    with tifffile.TiffWriter(buffer, bigtiff=big, byteorder=order) as writer:
        writer.write(noise(3, np.uint8), photometric="rgb", rowsperstrip=5, compression="lzw", extratags=more)
    content, word = buffer.getvalue(), "Q" if big else "L"
    fields = ((2, "H"), (4, word), (4 + struct.calcsize(order + word), word))
    refused = 0
    for at in entries(content, order, big):
        for (inside, form), value in itertools.product(fields, FAR):
            if value >= 256 ** struct.calcsize(order + form):
                continue
            damaged = bytearray(content)
            struct.pack_into(order + form, damaged, at + inside, value)
            message = refusal(bytes(damaged), "a.tif")
            refused += bool(message)
            assert re.fullmatch(r"(a\.tif: .*)?", message)
    assert refused > 60
    assert capfd.readouterr().err == ""


def test_libtiff_messages_about_a_damaged_fax_are_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    PIL.Image.fromarray(noise(1, np.uint8)[..., 0]).convert("1").save(tmp_path / "a.tif", compression="group4")
    content = (tmp_path / "a.tif").read_bytes()
    damaged = bytearray(content)
    at = next(at for at in entries(content, "<", big=False) if struct.unpack_from("<H", content, at)[0] == 258)
    struct.pack_into("<H", damaged, at + 8, 8)  # bits per sample: fax has 1
    with pytest.raises(DataError, match=r"a\.bin: .* decoder error"):
        decoded(tmp_path, bytes(damaged))
    assert capfd.readouterr().err == ""


def preview(content: bytes, more: list[tuple[Any, ...]]) -> bytes:
    """Return a TIFF whose first image is a small copy, like the raw files of cameras, with further tags."""
    buffer = BytesIO(content)
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(noise(3, np.uint8)[:8, :8], photometric="rgb", subfiletype=1, subifds=1, extratags=more)
        writer.write(noise(1, np.uint16)[..., 0], photometric="minisblack")
    return buffer.getvalue()


@pytest.mark.parametrize("more", [[], [(50706, 1, 4, b"\1\4\0\0", True)]])
def test_the_preview_of_a_raw_file_is_not_taken_for_the_photograph(tmp_path: Path, more: list[tuple[Any, ...]]) -> None:
    with pytest.raises(DataError, match="raw file of a camera"):
        decoded(tmp_path, preview(b"", more))


def test_a_sensor_image_is_refused(tmp_path: Path) -> None:
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(noise(1, np.uint16)[..., 0], photometric="cfa")
    with pytest.raises(DataError, match="raw file of a camera"):
        decoded(tmp_path, buffer.getvalue())


def test_a_tiff_without_a_page_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + bytes(100))
    for read in (io.read, io.read_frames):
        with pytest.raises(DataError, match="copy it again"):
            read(path)
