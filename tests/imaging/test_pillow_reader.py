"""Claims that the formats that Pillow reads are decoded as it shows them, and all frames of animations."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import PIL.IptcImagePlugin
import PIL.PngImagePlugin
import pytest
from image_files import DURATIONS, H, W, decoded, frames, noise, saved

from lowvision.errors import DataError
from lowvision.imaging import io


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmps_are_decoded(tmp_path: Path, mode: str) -> None:
    content = saved(PIL.Image.fromarray(noise(3)).convert(mode), "BMP")
    with PIL.Image.open(BytesIO(content)) as file:
        expected = np.atleast_3d(
            np.asarray(file.convert("L" if mode in {"1", "L"} else file.mode if mode == "RGBA" else "RGB"))
        )
    np.testing.assert_array_equal(decoded(tmp_path, content), expected)


@pytest.mark.parametrize(
    "masks",
    [
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0x3FF00000, 0xFFC00, 0x3FF, 0),
    ],
)
def test_bmp_bit_fields_are_decoded_correctly_or_refused(tmp_path: Path, masks: tuple[int, ...]) -> None:
    values = noise(4)
    words = np.zeros((H, W), np.uint32)
    for channel, mask in enumerate(masks):
        if mask:
            low = (mask & -mask).bit_length() - 1
            wide = (mask >> low) // 255
            words |= (values[..., channel].astype(np.uint32) * wide) << low
    header = struct.pack("<LllHHLLllLL", 124, W, -H, 1, 32, 3, 4 * H * W, 0, 0, 0, 0) + struct.pack("<4L", *masks)
    header = header.ljust(124, b"\0")
    content = b"BM" + struct.pack("<LLL", 14 + 124 + 4 * H * W, 0, 14 + 124) + header + words.astype("<u4").tobytes()
    if masks[0] == 0x3FF00000:
        with pytest.raises(DataError, match="rare variant"):
            decoded(tmp_path, content)
        return
    np.testing.assert_array_equal(decoded(tmp_path, content), values[..., : 4 if masks[3] else 3])


def test_the_palette_of_an_os2_bmp_is_decoded(tmp_path: Path) -> None:
    index = np.random.default_rng(0).integers(0, 16, (H, 56), dtype=np.uint8)
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
    header = struct.pack("<LHHHH", 12, W, H, 1, 8) + palette[:, ::-1].tobytes()
    content = b"BM" + struct.pack("<LLL", 14 + len(header) + index.size, 0, 14 + len(header)) + header
    actual = decoded(tmp_path, content + index[::-1].tobytes())
    np.testing.assert_array_equal(actual, palette[index[:, :W]])


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [False, True])
def test_webps_are_decoded(tmp_path: Path, mode: str, lossless: bool) -> None:
    picture = PIL.Image.fromarray(noise(len(mode)))
    content = saved(picture, "WEBP", lossless=lossless, exact=True)
    with PIL.Image.open(BytesIO(content)) as file:
        expected = np.asarray(file)
    np.testing.assert_array_equal(decoded(tmp_path, content), expected)
    if lossless:
        np.testing.assert_array_equal(expected, np.asarray(picture))


@pytest.mark.parametrize(("magic", "channels"), [(b"P5", 1), (b"P6", 3)])
@pytest.mark.parametrize("largest", [255, 15, 1023, 65535])
def test_pnms_of_every_maxval_are_decoded(tmp_path: Path, magic: bytes, channels: int, largest: int) -> None:
    values = np.random.default_rng(0).integers(0, largest + 1, (H, W, channels), dtype=np.uint16)
    content = magic + f"\n# a comment\n{W} {H}\n{largest}\n".encode()
    content += values.astype(">u2" if largest > 255 else np.uint8).tobytes()
    actual = decoded(tmp_path, content)
    top = 65535 if largest > 255 else 255
    assert actual.dtype == (np.uint16 if largest > 255 else np.uint8)
    assert np.abs(actual - values.astype(float) * top / largest).max() <= 0.51
    with pytest.raises(DataError):
        decoded(tmp_path, content[:-20])


def test_gifs_with_and_without_transparency_are_decoded(tmp_path: Path) -> None:
    picture = PIL.Image.fromarray(noise(3)).quantize(32)
    for options, mode in (({}, "RGB"), ({"transparency": 3}, "RGBA")):
        content = saved(picture, "GIF", **options)
        with PIL.Image.open(BytesIO(content)) as file:
            np.testing.assert_array_equal(decoded(tmp_path, content), np.asarray(file.convert(mode)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_avifs_of_8_bit_are_decoded(tmp_path: Path, mode: str) -> None:
    content = saved(PIL.Image.fromarray(noise(len(mode))), "AVIF", quality=90)
    with PIL.Image.open(BytesIO(content)) as file:
        np.testing.assert_array_equal(decoded(tmp_path, content), np.asarray(file))


def test_avifs_of_10_bit_are_decoded_to_16_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 1024, (H, W, 3), dtype=np.uint16)
    actual = decoded(tmp_path, imagecodecs.avif_encode(values, level=100, bitspersample=10, pixelformat="444"))
    assert actual.dtype == np.uint16
    assert np.abs(actual - values * (65535 / 1023)).max() < 200  # 3 of 1023 of the colour conversion


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (3, 8), (4, 8), (1, 12), (3, 12), (1, 16), (3, 16), (4, 16)])
def test_jpeg_2000_of_every_depth_is_decoded(tmp_path: Path, channels: int, bits: int) -> None:
    dtype = np.uint8 if bits == 8 else np.uint16
    values = np.random.default_rng(0).integers(0, 2**bits, (H, W, channels), dtype=dtype)
    content = imagecodecs.jpeg2k_encode(
        values[..., 0] if channels == 1 else values, level=0, reversible=True, bitspersample=bits, codecformat="jp2"
    )
    top = np.iinfo(dtype).max
    actual = decoded(tmp_path, content)
    assert actual.dtype == dtype
    assert np.abs(actual - values.astype(float) * top / (2**bits - 1)).max() <= 0.51


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
