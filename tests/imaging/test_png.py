"""Claims about PNG files: pixels of every depth, transparency, and the chunks of metadata."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.IptcImagePlugin
import PIL.PngImagePlugin
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import H, W, decoded, noise, rgba_of_grey, saved

from lowvision.imaging import io, png
from lowvision.imaging.image import Image, Metadata

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def rewritten(tmp_path: Path, name: str, target: str) -> Path:
    """Read a file and write it as another one."""
    io.write(tmp_path / target, io.read(tmp_path / name), quality=100)
    return tmp_path / target


def png_file(pixels: np.ndarray, depth: int, kind: int, *, more: bytes = b"") -> bytes:
    """Return a PNG file of packed rows (H, bytes)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", W, H, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def packed(values: np.ndarray, depth: int) -> np.ndarray:
    if depth == 16:
        return values.astype(">u2").reshape(H, -1).view(np.uint8).reshape(H, -1)
    bits = np.unpackbits(values.astype(np.uint8).reshape(H, -1, 1), axis=2)[..., 8 - depth :]
    return np.packbits(bits.reshape(H, -1), axis=1)


def transparency(data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + b"tRNS" + data + struct.pack(">L", zlib.crc32(b"tRNS" + data))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("transparent", [False, True])
def test_grey_pngs_of_every_depth_are_decoded(tmp_path: Path, depth: int, transparent: bool) -> None:
    values = np.random.default_rng(0).integers(0, 2**depth, (H, W, 1), dtype=np.uint16)
    value = int(values[5, 7, 0])
    more = transparency(value.to_bytes(2, "big")) if transparent else b""
    actual = decoded(tmp_path, png_file(packed(values, depth), depth, 0, more=more))
    largest = 65535 if depth == 16 else 255
    grey = values.astype(np.uint32) * largest // (2**depth - 1)
    expected = rgba_of_grey(np.concatenate([grey, (values != value) * largest], axis=2)) if transparent else grey
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colour_pngs_of_every_depth_are_decoded(tmp_path: Path, depth: int, kind: int, channels: int) -> None:
    values = noise(channels, np.uint8 if depth == 8 else np.uint16)
    actual = decoded(tmp_path, png_file(packed(values, depth), depth, kind))
    np.testing.assert_array_equal(actual, rgba_of_grey(values) if channels == 2 else values)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_png_colour_becomes_alpha(tmp_path: Path, depth: int) -> None:
    values = noise(3, np.uint8 if depth == 8 else np.uint16)
    more = transparency(b"".join(int(value).to_bytes(2, "big") for value in values[5, 7]))
    actual = decoded(tmp_path, png_file(packed(values, depth), depth, 2, more=more))
    np.testing.assert_array_equal(actual[..., :3], values)
    opaque = (values != values[5, 7]).any(axis=2)
    np.testing.assert_array_equal(actual[..., 3] > 0, opaque)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("transparent", [False, True])
def test_palette_pngs_are_decoded(tmp_path: Path, depth: int, transparent: bool) -> None:
    picture = PIL.Image.fromarray(noise(3)).quantize(2**depth)
    options = {"transparency": bytes(range(10, 10 + 2**depth // 2))} if transparent else {}
    content = saved(picture, "PNG", bits=depth, **options)
    with PIL.Image.open(BytesIO(content)) as file:
        expected = np.asarray(file.convert("RGBA" if transparent else "RGB"))
    np.testing.assert_array_equal(decoded(tmp_path, content), expected)


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


def blocks(content: bytes) -> list[bytes]:
    return [name for name, _ in png.chunks(content)]


GREY = png_file(np.zeros((H, W), np.uint8), 8, 0)


@given(st.lists(st.tuples(st.sampled_from([b"tEXt", b"gAMA", b"eXIf"]), st.binary(max_size=40)), max_size=5))
def test_inserted_chunks_stand_before_the_pixels_and_are_read_back(more: list[tuple[bytes, bytes]]) -> None:
    content = png.with_chunks(GREY, more)
    assert list(png.chunks(content))[1:-1] == more
    assert content.endswith(GREY[GREY.index(b"IDAT") - 4 :])


@given(st.integers(0, 200))
def test_chunks_end_at_the_first_one_that_is_cut_short(removed: int) -> None:
    content = png.with_chunks(GREY, [(b"tEXt", bytes(100))])
    names = blocks(content[: len(content) - removed])
    assert names == blocks(content)[: len(names)]


@pytest.mark.parametrize(("frames", "animated"), [(None, False), (1, False), (2, True)])
def test_a_png_is_animated_if_it_has_several_frames(frames: int | None, animated: bool) -> None:
    more = [] if frames is None else [(b"acTL", struct.pack(">LL", frames, 0))]
    assert png.is_animated(png.with_chunks(GREY, more)) is animated


def test_the_word_of_an_animation_among_the_pixels_is_none() -> None:
    assert not png.is_animated(GREY + b"acTL" + struct.pack(">LL", 9, 0))


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        ((b"iCCP", b"name\0\0no deflate"), "a damaged profile"),
        ((b"iCCP", b"\0\0" + zlib.compress(b"profile")), "a profile without a name"),
        ((b"iTXt", png.XMP_KEYWORD + b"\1\0\0\0no deflate"), "damaged XMP"),
        ((b"iTXt", png.XMP_KEYWORD + b"\0"), "XMP that is cut short"),
        ((b"pHYs", struct.pack(">LLB", 10, 10, 0)), "a resolution without a unit"),
        ((b"pHYs", b"\0\0\0\x0a"), "a resolution that is cut short"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_metadata_is_left_out(chunk: tuple[bytes, bytes], reason: str) -> None:
    exif, icc, metadata = png.read_blocks(png.with_chunks(GREY, [chunk]))
    assert (exif, icc, metadata.xmp, metadata.dpi, metadata.png) == (None, None, None, None, ())


def test_a_profile_is_decompressed_up_to_a_limit() -> None:
    huge = zlib.compress(bytes(png.LARGEST_PROFILE + 1), 1)
    _, icc, _ = png.read_blocks(png.with_chunks(GREY, [(b"iCCP", b"name\0\0" + huge)]))
    assert icc is not None
    assert len(icc) == png.LARGEST_PROFILE


@given(st.binary(max_size=200) | st.none(), st.binary(min_size=1, max_size=200), st.binary(min_size=1, max_size=99))
def test_metadata_that_is_written_is_read(exif: bytes | None, icc: bytes, xmp: bytes) -> None:
    metadata = Metadata(xmp=xmp, dpi=(300.0, 72.0), png=((b"gAMA", bytes(4)), (b"tEXt", b"Title\0a title")))
    content = png.with_chunks(GREY, png.blocks_to_write(exif, icc, metadata))
    read_exif, read_icc, read = png.read_blocks(content)
    assert (read_exif, read_icc, read.xmp, read.png) == (exif or None, icc, xmp, metadata.png)
    assert read.dpi == pytest.approx(metadata.dpi, abs=0.02)


def test_the_colour_space_stands_before_the_profile_and_text_at_the_end() -> None:
    metadata = Metadata(png=((b"tEXt", b"a\0b"), (b"cICP", bytes(4))))
    assert [name for name, _ in png.blocks_to_write(b"II*", b"icc", metadata)] == [b"cICP", b"iCCP", b"eXIf", b"tEXt"]
