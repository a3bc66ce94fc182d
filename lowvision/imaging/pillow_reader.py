"""Read with Pillow: formats and kinds that OpenCV decodes wrongly, and all frames of animations.

Its classes per format are used directly: the first bytes of a file choose the format, never its name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from lowvision.errors import DataError, summary_of
from lowvision.imaging import avif, bmp, headers, jpeg2000, library_messages, png
from lowvision.imaging.formats import AVIF, BMP, GIF, JPEG, JPEG2000, PNG, PNM, WEBP, ImageFormat
from lowvision.imaging.image import Frames, Image, Metadata, Pixels, converted, spread
from lowvision.imaging.limits import Limit, check_length

CLASSES: dict[ImageFormat, type[ImageFile]] = {
    PNG: PngImagePlugin.PngImageFile,
    JPEG: JpegImagePlugin.JpegImageFile,
    WEBP: WebPImagePlugin.WebPImageFile,
    BMP: BmpImagePlugin.BmpImageFile,
    GIF: GifImagePlugin.GifImageFile,
    AVIF: AvifImagePlugin.AvifImageFile,
    JPEG2000: Jpeg2KImagePlugin.Jpeg2KImageFile,
    PNM: PpmImagePlugin.PpmImageFile,
}
logger = logging.getLogger("lowvision")

XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
LONG_XMP_PREFIX = b"http://ns.adobe.com/xmp/extension/\0"
MPF = b"MPF\0"
LONGEST_HEADER = 2**18
"""Bytes in which the index of a multi-picture file is searched."""
MOST_PICTURES = 100


@contextmanager
def opened(path: Path, content: bytes, image_format: ImageFormat) -> Iterator[ImageFile]:
    """Yield a file whose header is read. Raises DataError, also for errors of Pillow inside the block."""
    try:
        with library_messages.hidden(), CLASSES[image_format](BytesIO(content)) as file:
            yield file
    except (DataError, MemoryError):
        raise
    except Exception as error:  # Pillow raises many types for damaged files
        raise DataError(
            f"{path}: the image is damaged, truncated or of a rare variant ({summary_of(error)}); copy it again or "
            "convert it to PNG"
        ) from error


def read_frames(path: Path, content: bytes, image_format: ImageFormat, limit: Limit, all_frames: bool) -> Frames:
    """Return the first image or all frames of a file, each as it is shown."""
    if image_format is WEBP and (size := headers.size(content, WEBP)):
        Limit(limit.largest).add(path, *size)  # its class allocates two images when it opens a file
    with opened(path, content, image_format) as file:
        first = int(bool(getattr(file, "default_image", False)))  # a still image before the animation
        count = getattr(file, "n_frames", 1)
        if not all_frames or count - first < 2:
            return Frames((_frame(path, content, image_format, file, limit),))
        images, durations = [], []
        for number in range(first, count):
            file.seek(number)
            images.append(_frame(path, content, image_format, file, limit))
            durations.append(float(file.info.get("duration", 0)))
        if image_format is WEBP and all(image.pixels[..., 3:].min(initial=255) == 255 for image in images):
            images = [replace(image, pixels=image.pixels[..., :3]) for image in images]  # libwebp may add alpha
        if image_format is PNG:
            exif, icc, metadata = png.read_blocks(content)
            images = [replace(image, exif=exif, icc=icc, metadata=metadata) for image in images]
        return Frames(tuple(images), tuple(durations), _plays(image_format, file))


def metadata_of_jpeg(path: Path, content: bytes) -> tuple[bytes | None, bytes | None, Metadata]:
    """Return EXIF, ICC and all other metadata of a JPEG file."""
    with opened(path, content, JPEG) as file:
        assert isinstance(file, JpegImagePlugin.JpegImageFile)
        kept = tuple(
            (name, data)
            for name, data in file.applist
            if name in {"COM", "APP13"} or (name == "APP1" and data.startswith(LONG_XMP_PREFIX))
        )
        xmp = next((data[len(XMP_PREFIX) :] for _, data in file.applist if data.startswith(XMP_PREFIX)), None)
        dpi = _dpi(file) if file.info.get("jfif_unit") in {1, 2} else None
        x, y = file.info["jfif_density"] if file.info.get("jfif_unit") == 0 else (1, 1)
        aspect = (x, y) if x != y and x and y else None
        blocks = file.info.get("exif"), file.info.get("icc_profile")
        return *blocks, Metadata(xmp=xmp, dpi=dpi, aspect=aspect, jpeg=kept)


def jpegs_of(path: Path, content: bytes) -> list[bytes]:
    """Return the JPEG files inside a file: several in a multi-picture file (MPO), otherwise the file itself."""
    base = content.find(MPF, 0, LONGEST_HEADER) + len(MPF)
    if base < len(MPF):
        return [content]
    try:
        with library_messages.hidden(), MpoImagePlugin.MpoImageFile(BytesIO(content)) as file:
            entries = (file.mpinfo or {})[0xB002]
        starts = [base + entry["DataOffset"] for entry in entries if entry["DataOffset"]]
    except Exception:  # Pillow raises many types for a damaged index; the first image is still there
        starts = []
    kept = [at for at in starts[:MOST_PICTURES] if JPEG.matches(content[at : at + 4])]
    if len(kept) < len(starts):
        logger.warning("%s: %d of its pictures are missing in the file", path, len(starts) - len(kept))
    return [content, *(content[at:] for at in kept)]


def _frame(path: Path, content: bytes, image_format: ImageFormat, file: ImageFile, limit: Limit) -> Image:
    limit.add(path, *file.size)
    check_length(path, content, image_format, *file.size)
    if image_format is PNG and content[24] > 8:
        raise DataError(f"{path}: is an animation of 16 bits per channel; take --frames first, or convert it to 8 bits")
    pixels = _deep(path, content, image_format, file)
    if pixels is None:
        file.load()
        pixels = _pixels(path, file)
    return Image(
        pixels,
        *_blocks(content, image_format, file),
        is_lossless_webp=image_format is WEBP and headers.is_lossless_webp(content),
    )


def _blocks(content: bytes, image_format: ImageFormat, file: ImageFile) -> tuple[bytes | None, bytes | None, Metadata]:
    """Return EXIF, ICC and all other metadata."""
    exif, icc, xmp = file.info.get("exif"), file.info.get("icc_profile"), file.info.get("xmp")
    if image_format is JPEG2000:
        exif, icc, xmp = jpeg2000.read_blocks(content)
    elif image_format is BMP:
        icc = bmp.profile(content)
    chunks: tuple[png.Chunk, ...] = ()
    if image_format is GIF and isinstance(comment := file.info.get("comment"), bytes) and comment:
        chunks = (png.comment(comment),)
    elif image_format is AVIF and icc is None and (colour := avif.code_points(content)):
        chunks = ((b"cICP", colour),)
    dpi = _dpi(file) if "dpi" in file.info else None
    return exif, icc, Metadata(xmp=xmp if isinstance(xmp, bytes) else None, dpi=dpi, png=chunks)


def _pixels(path: Path, file: ImageFile) -> Pixels:
    """Return decoded pixels as grey, RGB or RGBA."""
    if file.mode.startswith("I;16"):
        return np.asarray(file).astype(np.uint16)[..., None]
    if file.mode == "I":
        values = np.asarray(file)
        if values.min() < 0 or values.max() > 65535:
            raise DataError(f"{path}: has int32 values; convert the image to 8 or 16 bits or to 32-bit floats")
        return values.astype(np.uint16)[..., None]
    if file.mode == "F":
        return np.asarray(file)[..., None]
    target = "RGBA" if file.has_transparency_data else "L" if file.mode in {"1", "L"} else "RGB"
    return np.atleast_3d(np.asarray(file if file.mode == target else file.convert(target)))


def _deep(path: Path, content: bytes, image_format: ImageFormat, file: ImageFile) -> Pixels | None:
    """Return the pixels of a file that Pillow would reduce to 8 bits; None for other files."""
    bits = 8
    if image_format is AVIF and 0 < (at := content.find(b"pixi")) < len(content) - 10:
        bits = content[at + 9]
    if image_format is JPEG2000 and 0 <= (at := content.find(b"\xff\x4f\xff\x51")) < len(content) - 43:
        bits = (content[at + 42] & 0x7F) + 1
    if image_format is PNM and content[:2] in (b"P3", b"P6"):
        return _deep_pnm(content, file)
    if not 8 < bits <= 16 or getattr(file, "n_frames", 1) > 1:
        return None
    import imagecodecs  # here: importing it takes time, and few files need it

    decode = imagecodecs.avif_decode if image_format is AVIF else imagecodecs.jpeg2k_decode
    values = np.atleast_3d(decode(content))
    if values.shape[:2] != file.size[::-1] or values.shape[2] > 4:
        raise DataError(f"{path}: is of a rare variant; convert it to PNG")
    values = spread(values, bits)
    return _grey_with_alpha(values) if values.shape[2] == 2 else values


def _deep_pnm(content: bytes, file: ImageFile) -> Pixels | None:
    """Return colour of more than 8 bits; None for 8 bits."""
    largest = _largest_value(content)
    if largest <= 255:
        return None
    start = len(content) - 6 * file.size[0] * file.size[1]
    if content[:2] == b"P3" or start < 0:
        raise ValueError("a text file of more than 8 bits" if start >= 0 else "the file is truncated")
    tile = file.tile[0]
    values = np.frombuffer(content, ">u2", 3 * file.size[0] * file.size[1], tile.offset)
    unit = values.reshape(file.size[1], file.size[0], 3).astype(np.float32) / np.float32(largest)
    return converted(unit, np.uint16)


def _largest_value(content: bytes) -> int:
    """Return the fourth word of a PNM header, in which comments run to the end of a line."""
    lines = content[:4096].split(b"\n")
    words = b" ".join(line.split(b"#")[0] for line in lines).split()
    return int(words[3])


def _grey_with_alpha(values: Pixels) -> Pixels:
    return np.concatenate([np.repeat(values[..., :1], 3, axis=2), values[..., 1:]], axis=2)


def _dpi(file: ImageFile) -> tuple[float, float] | None:
    x, y = (float(value) for value in file.info.get("dpi", (0, 0)))
    return (x, y) if x > 0 and y > 0 else None


def _plays(image_format: ImageFormat, file: ImageFile) -> int:
    """Return how often an animation is shown, 0 for endlessly; GIF stores the repetitions after the first time."""
    loops = file.info.get("loop")
    if image_format is GIF:
        return 1 if loops is None else loops + 1 if loops else 0
    return loops or 0
