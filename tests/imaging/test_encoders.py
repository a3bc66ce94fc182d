"""Claims about written files: frames survive, and what a format cannot hold is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.IptcImagePlugin
import PIL.PngImagePlugin
import pytest
from image_files import DURATIONS, H, W, frames

from lowvision.errors import DataError
from lowvision.imaging import io
from lowvision.imaging.image import Frames, Image, Metadata

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + b"x" * 300 + b"</x:xmpmeta>"


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_frame_survives_a_round_trip(tmp_path: Path, suffix: str, channels: int) -> None:
    written = Frames([Image(pixels) for pixels in frames(channels)], DURATIONS, 5)
    io.write_frames(tmp_path / f"a{suffix}", written, quality=100)
    read = io.read_frames(tmp_path / f"a{suffix}")
    assert (read.durations, read.loops) == (DURATIONS, 5)
    for image, pixels in zip(read.images, frames(channels), strict=True):
        expected = np.repeat(pixels, 3, axis=2) if image.pixels.shape[2] == 3 and channels == 1 else pixels
        np.testing.assert_array_equal(image.pixels, expected)


def test_every_picture_of_a_multi_picture_file_survives(tmp_path: Path) -> None:
    smooth = [PIL.Image.fromarray(pixels[:3, :4]).resize((W, H)) for pixels in frames()]
    smooth[0].save(tmp_path / "a.mpo", save_all=True, append_images=smooth[1:], quality=95)
    read = io.read_frames(tmp_path / "a.mpo")
    assert len(read.images) == 3
    assert not read.is_animation
    io.write_frames(tmp_path / "b.jpg", read)
    assert io.count_frames(tmp_path / "b.jpg") == 3
    with PIL.Image.open(tmp_path / "b.jpg") as file:
        assert (file.format, file.n_frames) == ("MPO", 3)
        for number, image in enumerate(read.images):
            file.seek(number)
            assert np.abs(np.asarray(file).astype(int) - image.pixels).max() < 12


@pytest.mark.parametrize(
    ("suffix", "durations"), [(".jpg", DURATIONS), (".tif", DURATIONS), (".bmp", ()), (".png", ())]
)
def test_multiple_frames_in_a_single_frame_format_are_an_error(
    tmp_path: Path, suffix: str, durations: tuple[float, ...]
) -> None:
    with pytest.raises(DataError, match=r"cannot hold 3 .*--frames first"):
        io.write_frames(tmp_path / f"a{suffix}", Frames([Image(pixels) for pixels in frames()], durations))
    assert not list(tmp_path.iterdir())


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
