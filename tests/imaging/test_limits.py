"""Claims about the largest number of pixels: it holds before an image is decoded, in every format."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import PIL.Image
import PIL.IptcImagePlugin
import PIL.PngImagePlugin
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import H, W, frames

from lowvision.errors import DataError
from lowvision.imaging import io
from lowvision.imaging.formats import BMP, GIF, PNG, PNM
from lowvision.imaging.limits import Limit, check_length

FORMATS = {"PNG": PNG, "BMP": BMP, "GIF": GIF, "PPM": PNM}


@pytest.mark.parametrize("suffix", [".png", ".webp", ".gif", ".tif"])
def test_the_pixel_limit_applies_to_the_sum_of_all_frames(tmp_path: Path, suffix: str) -> None:
    pictures = [PIL.Image.fromarray(pixels) for pixels in frames()]
    pictures[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=pictures[1:])
    assert len(io.read_frames(tmp_path / f"a{suffix}", largest=3 * H * W).images) == 3
    with pytest.raises(DataError, match="frames first"):
        io.read_frames(tmp_path / f"a{suffix}", largest=3 * H * W - 1)
    assert io.read(tmp_path / f"a{suffix}", largest=H * W).pixels.shape[:2] == (H, W)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "AVIF", "JPEG2000", "PPM"])
@pytest.mark.parametrize("name", ["a.png", "a.bin"])
def test_the_pixel_limit_applies_to_every_format_under_any_suffix(tmp_path: Path, form: str, name: str) -> None:
    buffer = BytesIO()
    PIL.Image.fromarray(frames()[0]).save(buffer, form)
    (tmp_path / name).write_bytes(buffer.getvalue())
    assert io.read(tmp_path / name, largest=H * W).pixels.shape == (H, W, 3)
    with pytest.raises(DataError, match=f"its header declares {W}x{H} pixels"):
        io.read(tmp_path / name, largest=H * W - 1)


@pytest.mark.parametrize(("form", "mode"), [("PNG", "1"), ("BMP", "1"), ("GIF", "L"), ("PPM", "1"), ("PPM", "L")])
@given(width=st.integers(1, 3000), height=st.integers(1, 300))
@settings(max_examples=10)
def test_the_most_compact_files_are_long_enough_for_their_pixels(form: str, mode: str, width: int, height: int) -> None:
    """One colour compresses best; rows of one bit are the smallest."""
    buffer = BytesIO()
    PIL.Image.new(mode, (width, height)).save(buffer, form, **({"compress_level": 9} if form == "PNG" else {}))
    check_length(Path("a"), buffer.getvalue(), FORMATS[form], width, height)


@pytest.mark.parametrize("form", ["BMP", "PPM", "GIF", "PNG"])
def test_a_file_too_short_for_its_pixels_is_refused_before_they_are_allocated(tmp_path: Path, form: str) -> None:
    buffer = BytesIO()
    PIL.Image.new("RGB", (16, 16)).save(buffer, form)
    (tmp_path / "a").write_bytes(enlarged(form, buffer.getvalue()))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"its header declares \d+x\d+ pixels, for which \d+ bytes are too few"):
            io.read(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def enlarged(form: str, content: bytes) -> bytes:
    """Return a file whose header declares 16 times 2^16 pixels or more."""
    if form == "BMP":
        return content[:22] + struct.pack("<i", 2**20) + content[26:]
    if form == "GIF":
        # Pillow takes the larger of screen and frame.
        return content[:6] + struct.pack("<HH", 2**15, 2**14) + content[10:]
    if form == "PNG":
        header = b"IHDR" + struct.pack(">LL", 2**14, 2**14) + content[24:29]
        return content[:12] + header + struct.pack(">L", zlib.crc32(header)) + content[33:]
    return content.replace(b"16 16", b"16 1000000", 1)


def test_a_bmp_of_runs_may_be_short() -> None:
    content = bytearray(100)
    content[30] = 1
    check_length(Path("a.bmp"), bytes(content), BMP, 10**4, 10**4)
    with pytest.raises(DataError, match="for which 100 bytes are too few; copy it again"):
        check_length(Path("a.bmp"), bytes(100), BMP, 10**4, 10**4)


@pytest.mark.parametrize("bigtiff", [False, True])
def test_the_pixel_limit_applies_to_a_tiff_with_two_width_tags(tmp_path: Path, bigtiff: bool) -> None:
    tifffile.imwrite(tmp_path / "a.tif", frames()[0], bigtiff=bigtiff, metadata=None, software="x", photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        first, second = file.pages[0].tags["ImageWidth"], file.pages[0].tags["Software"]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    size = 20 if bigtiff else 12
    content[second.offset : second.offset + size] = content[first.offset : first.offset + size]
    content[second.offset + size - (8 if bigtiff else 4)] = 1
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DataError, match=f"declares {W}x{H} pixels"):
        io.read(tmp_path / "a.tif", largest=H * W - 1)


@given(
    sizes=st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100)), min_size=1, max_size=6),
    most=st.integers(1, 30000),
)
def test_the_first_image_above_the_sum_is_refused(sizes: list[tuple[int, int]], most: int) -> None:
    limit, total = Limit(most), 0
    for number, (width, height) in enumerate(sizes, start=1):
        total += width * height
        if total > most:
            several = f" in {number} frames" if number > 1 else ""
            with pytest.raises(DataError, match=f"^a.png: its header declares {width}x{height} pixels{several}, "):
                limit.add(Path("a.png"), width, height)
            return
        limit.add(Path("a.png"), width, height)


def test_without_a_limit_there_is_a_default_and_infinity_is_none() -> None:
    with pytest.raises(DataError, match=r"the limit is 1073\.74 million; raise it"):
        Limit().add(Path("a.png"), 2**15, 2**15 + 1)
    Limit(float("inf")).add(Path("a.png"), 2**31, 2**31)
