"""Claims that all frames and pages of a file are read and written, with times, loops, sizes and tags."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from lowvision.errors import DataError
from lowvision.imaging import io
from lowvision.imaging.image import Frames, Image

H, W = 24, 32
DURATIONS = (40.0, 120.0, 80.0)


def frames(channels: int = 3, count: int = 3) -> list[np.ndarray]:
    return [np.random.default_rng(n).integers(1, 256, (H, W, channels), dtype=np.uint8) for n in range(count)]


def animation(path: Path, loop: int | None = 2, **options: object) -> list[np.ndarray]:
    """Write an animation with Pillow; return its frames as Pillow shows them."""
    pictures = [PIL.Image.fromarray(pixels) for pixels in frames()]
    looped = {} if loop is None else {"loop": loop}
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=[int(d) for d in DURATIONS], **looped, **options
    )
    with PIL.Image.open(path) as file:
        shown = []
        for number in range(3):
            file.seek(number)
            shown.append(np.asarray(file.convert("RGB")))
    return shown


@pytest.mark.parametrize("suffix", [".png", ".webp", ".gif"])
def test_every_frame_of_an_animation_is_read(tmp_path: Path, suffix: str) -> None:
    shown = animation(tmp_path / f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    read = io.read_frames(tmp_path / f"a{suffix}")
    assert read.durations == DURATIONS
    assert read.loops == (3 if suffix == ".gif" else 2)  # GIF counts repetitions
    assert io.count_frames(tmp_path / f"a{suffix}") == 3
    for image, expected in zip(read.images, shown, strict=True):
        np.testing.assert_array_equal(image.pixels[..., :3], expected)
    assert io.read(tmp_path / f"a{suffix}").pixels.shape[:2] == (H, W)


def test_a_gif_without_loop_count_plays_once_and_with_zero_loops_forever(tmp_path: Path) -> None:
    for loop, plays in ((None, 1), (0, 0), (4, 5)):
        animation(tmp_path / "a.gif", loop)
        assert io.read_frames(tmp_path / "a.gif").loops == plays


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


def test_disposal_and_partial_frames_are_resolved(tmp_path: Path) -> None:
    base = PIL.Image.new("RGBA", (W, H), (255, 0, 0, 255))
    spots = []
    for x in (0, 10):
        spot = PIL.Image.new("RGBA", (W, H), (0, 0, 0, 0))
        spot.paste((0, 255, 0, 255), (x, 0, x + 5, 5))
        spots.append(spot)
    base.save(tmp_path / "a.png", save_all=True, append_images=spots, duration=50, blend=1, disposal=0)
    last = io.read_frames(tmp_path / "a.png").images[2].pixels
    assert last[2, 2].tolist() == last[2, 12].tolist() == [0, 255, 0, 255]
    assert last[20, 20].tolist() == [255, 0, 0, 255]


def test_every_tiff_page_keeps_its_size_depth_and_tags(tmp_path: Path) -> None:
    pages = [frames()[0], frames(1)[0].astype(np.uint16)[:10] * 257, frames(4)[0][:, :7]]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for number, page in enumerate(pages):
            writer.write(
                page[..., 0] if page.shape[2] == 1 else page,
                photometric="minisblack" if page.shape[2] == 1 else "rgb",
                extrasamples=["unassalpha"] if page.shape[2] == 4 else None,
                description=f"page {number}",
                software=False,
                metadata=None,
                resolution=(100 + number, 200),
                resolutionunit=3,
                extratags=[(285, 2, 0, f"name {number}", True), (297, 3, 2, (number, 3), True)],
            )
    assert io.count_frames(tmp_path / "a.tif") == 3
    io.write_frames(tmp_path / "b.tif", io.read_frames(tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        for number, (written, page) in enumerate(zip(file.pages, pages, strict=True)):
            actual = written.asarray()
            np.testing.assert_array_equal(actual if actual.ndim == 3 else actual[..., None], page)
            assert written.tags["ImageDescription"].value == f"page {number}"
            assert written.tags["PageName"].value == f"name {number}"
            assert written.tags["PageNumber"].value == (number, 3)
            assert written.tags["XResolution"].value == (100 + number, 1)
            assert written.tags["ResolutionUnit"].value == 3


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
