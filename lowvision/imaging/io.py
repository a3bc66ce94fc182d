"""Read and write image files with bit depth, grey, alpha, orientation, EXIF and ICC."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from lowvision.errors import DataError
from lowvision.imaging import encoders, headers, library_messages, pillow_reader, png, tiff
from lowvision.imaging import exif as tags
from lowvision.imaging.formats import (
    BY_SUFFIX,
    HDR,
    JPEG,
    PFM,
    PNG,
    TIFF,
    WRITABLE,
    ImageFormat,
    of_content,
)
from lowvision.imaging.image import Frames, Image, Metadata, Pixels, converted, describes, oriented
from lowvision.imaging.limits import Limit, check_length
from lowvision.system.atomic import whole

__all__ = [
    "DEPTHS",
    "Frames",
    "Image",
    "Metadata",
    "Pixels",
    "count_frames",
    "decode",
    "draw_text",
    "encoded",
    "read",
    "read_frames",
    "read_rgb",
    "text_width",
    "to_pixels",
    "to_tensor",
    "to_uint8",
    "write",
    "write_frames",
]

DEPTHS = {suffix: BY_SUFFIX[suffix].depths for suffix in WRITABLE}
"""The suffixes that `write` supports, and the dtypes that each format holds, the best one last."""
OPENCV = frozenset({PNG, HDR, PFM})
"""Formats that OpenCV decodes, besides JPEG, if they are not animated."""
PROFILE = "the ICC profile, which describes other channels"
"""Name of a profile of e.g. CMYK, whose pixels became RGB."""
FONT, FONT_WEIGHT = "sans", 400
"""A font inside OpenCV: pictures look the same on every machine."""


def read(path: Path | str, largest: float | None = None) -> Image:
    """Read the first image of a file of any format in `formats.FORMATS`.

    Palettes and bits become 8-bit values, CMYK becomes RGB, grey with alpha becomes RGB with alpha. The orientation is
    applied. Raises DataError if the file is missing, empty, not an image, damaged or truncated. Damage inside a JPEG,
    WebP, BMP or TIFF file that can still be decoded is not detected; PNG has checksums.

    largest: the maximum number of pixels, by the header that the decoder uses; more raise DataError before decoding.
    OpenCV has its own limit, 2**30 pixels, set by the environment variable OPENCV_IO_MAX_IMAGE_PIXELS.
    """
    return _read(Path(path), largest, all_frames=False).images[0]


def decode(content: bytes, name: str) -> Image:
    """Decode the first image of a file's content as `read` does; `name` names it in messages."""
    return _decode(Path(name), content, None, all_frames=False).images[0]


def read_frames(path: Path | str, largest: float | None = None) -> Frames:
    """Read all frames of an animation or all pages of a file, otherwise its image; `read` explains the rest.

    largest: the maximum number of pixels of all frames together.
    """
    return _read(Path(path), largest, all_frames=True)


def count_frames(path: Path | str) -> int:
    """Return the number of images in a file; 1 if it cannot be read."""
    try:
        content = _content(Path(path))
        image_format = of_content(content)
        if image_format is TIFF:
            return tiff.count_pages(content)
        if image_format is JPEG:
            return len(pillow_reader.jpegs_of(Path(path), content))
        if image_format is PNG and not png.is_animated(content):
            return 1
        if image_format in pillow_reader.CLASSES:
            with pillow_reader.opened(Path(path), content, image_format) as file:
                return getattr(file, "n_frames", 1) - bool(getattr(file, "default_image", False))
    except DataError:
        pass
    return 1


def read_rgb(path: Path | str) -> Pixels:
    """Read an image as (H,W,3) uint8 or uint16: grey is replicated, alpha dropped, floats clamped to 16-bit values.

    Raises DataError as `read` does.
    """
    colour = read(path).colour
    if colour.dtype == np.float32:
        colour = converted(colour, np.uint16)
    return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else np.ascontiguousarray(colour)


def write(path: Path | str, image: Image, quality: int = 95) -> None:
    """Write an image atomically, in the format of the suffix, one of DEPTHS.

    quality: 1..100, for JPEG (chroma is not subsampled) and WebP (100: lossless). Depths that the format does not hold
    are rounded to its best one; in JPEG, transparent pixels become white. Metadata without a place is omitted with a
    warning. Raises DataError for another suffix, for a size that the format cannot hold and for failures of the disk;
    an old file is then kept.
    """
    write_frames(path, Frames((image,)), quality)


def write_frames(
    path: Path | str, frames: Frames, quality: int = 95, background: tuple[int, int, int] = encoders.WHITE
) -> None:
    """Write all frames into one file as `write` does; background: colour behind transparent pixels in JPEG, 0..255.

    Raises DataError if the format holds a single image only.
    """
    path = Path(path)
    if path.suffix.lower() not in DEPTHS:
        raise DataError(f"{path}: cannot write '{path.suffix}'; use one of {' '.join(DEPTHS)}")
    content = encoders.encode(path, frames, quality, background)
    try:
        with whole(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def encoded(image: Image, suffix: str, quality: int = 95) -> bytes:
    """Return the bytes of an image file with a suffix, e.g. `.png`, for pages that embed pictures."""
    return encoders.encode(Path(f"picture{suffix}"), Frames((image,)), quality)


def draw_text(pixels: NDArray[np.uint8], text: str, left: int, baseline: int, size: int, colour: Sequence[int]) -> None:
    """Draw a line of text into pixels (H,W,3); `size` is the height of letters with ascenders, in pixels."""
    cv2.putText(pixels, text, (left, baseline), tuple(colour), cv2.FontFace(FONT), size, FONT_WEIGHT)


def text_width(text: str, size: int) -> int:
    """Return the width in pixels of a text drawn by `draw_text`."""
    return cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace(FONT), size, FONT_WEIGHT)[2]


def to_tensor(pixels: Pixels) -> Tensor:
    """Convert (H,W,C) uint8, uint16 or float32 to (C,H,W) float32; integers are mapped to [0,1], floats are kept."""
    planes = np.array(pixels.transpose(2, 0, 1), order="C")  # a copy: pixels may be read-only
    if planes.dtype == np.float32:
        return torch.from_numpy(planes)
    return torch.from_numpy(planes).to(torch.float32).div_(float(np.iinfo(planes.dtype).max))


def to_pixels(x: Tensor, dtype: DTypeLike = np.uint8) -> Pixels:
    """Convert (C,H,W) to (H,W,C) of a dtype: integers are clamped to [0,1] and rounded half up, float32 is kept."""
    planes = x.detach().cpu().permute(1, 2, 0).to(torch.float32).contiguous().numpy()
    return planes if np.dtype(dtype) == np.float32 else converted(planes, dtype)


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """Convert (C,H,W) in [0,1] to (H,W,C) uint8, clamped and rounded half up."""
    return to_pixels(x, np.uint8)


def _content(path: Path) -> bytes:
    """Return the content of a regular file: pipes and devices may never end."""
    try:
        # O_NONBLOCK: opening a pipe would wait for a writer. Links to devices are resolved by `open`.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device, not a regular file"
                raise DataError(f"{path}: cannot be read: it is {kind}; give the path of an image file")
            content = file.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not content:
        raise DataError(f"{path}: the file is empty; copy it again")
    return content


def _read(path: Path, largest: float | None, all_frames: bool) -> Frames:
    return _decode(path, _content(path), largest, all_frames)


def _decode(path: Path, content: bytes, largest: float | None, all_frames: bool) -> Frames:
    image_format = of_content(content)
    if image_format is None:
        raise DataError(f"{path}: not an image of a known format; convert it to PNG, JPEG, TIFF, WebP or BMP")
    limit = Limit(largest)
    if image_format is JPEG:
        parts = pillow_reader.jpegs_of(path, content) if all_frames else [content]
        frames = Frames(tuple(_decoded(path, part, JPEG, limit) for part in parts))
    elif image_format is TIFF:
        frames = Frames(tiff.read(path, content, limit, all_frames))
    elif image_format in OPENCV and not (all_frames and image_format is PNG and png.is_animated(content)):
        frames = Frames((_decoded(path, content, image_format, limit),))
    else:
        frames = pillow_reader.read_frames(path, content, image_format, limit, all_frames)
    images = tuple(_checked(path, image if image_format is TIFF else _upright(image)) for image in frames.images)
    return replace(frames, images=images)


def _decoded(path: Path, content: bytes, image_format: ImageFormat, limit: Limit) -> Image:
    """Decode an image by OpenCV, which is faster than Pillow and keeps 16 bits."""
    size: headers.Size | None
    exif = icc = None
    metadata = Metadata()
    if image_format is JPEG:
        with pillow_reader.opened(path, content, JPEG) as file:
            size = file.size
        exif, icc, metadata = pillow_reader.metadata_of_jpeg(path, content)
    else:
        size = headers.size(content, image_format)
    if size is None:
        raise DataError(_unreadable(path))
    limit.add(path, *size)
    check_length(path, content, image_format, *size)
    if image_format is PNG:
        exif, icc, metadata = png.read_blocks(content)
    pixels = _pixels(path, content)
    if pixels.shape[:2] != size[::-1]:
        raise DataError(_unreadable(path))
    if image_format is PNG and (transparent := png.transparent_grey(content)) and pixels.shape[2] == 1:
        pixels = _with_transparent(pixels, *transparent)
    return Image(pixels, exif, icc, metadata)


def _pixels(path: Path, content: bytes) -> Pixels:
    """Return the pixels, in RGB order."""
    try:
        with encoders.silence(), library_messages.hidden():
            # From memory: only this decoder rejects truncated JPEGs instead of filling their end with grey.
            raw, *_ = cv2.imdecodeWithMetadata(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{path}: cannot decode: {error.err}") from error
    if raw is None:
        raise DataError(_unreadable(path))
    swap = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    return raw[..., None] if raw.ndim == 2 else cv2.cvtColor(raw, swap[raw.shape[2]])


def _with_transparent(pixels: Pixels, value: int, bits: int) -> Pixels:
    """Return grey (H,W,1) as RGBA in which one grey value is transparent."""
    largest = np.iinfo(pixels.dtype).max
    opaque = pixels != value * largest // (2**bits - 1)
    return np.concatenate([pixels, pixels, pixels, opaque * pixels.dtype.type(largest)], axis=2)


def _upright(image: Image) -> Image:
    """Return the image with its EXIF orientation applied."""
    exif = image.exif and image.exif.removeprefix(b"Exif\0\0")  # a prefix of JPEG that other formats may have too
    turn = tags.orientation(exif) if exif else 1
    return replace(
        image,
        pixels=np.ascontiguousarray(oriented(image.pixels, turn)),
        exif=tags.upright(exif) if exif else None,
        metadata=image.metadata.turned(turn),
    )


def _checked(path: Path, image: Image) -> Image:
    """Return the image without a profile for other channels. Raises DataError for pixels that are not finite."""
    if image.pixels.dtype == np.float32 and not np.isfinite(image.pixels).all():
        raise DataError(f"{path}: has pixels that are NaN or infinite; replace them")
    if image.icc is None or describes(image.icc, image.pixels):
        return image
    return replace(image, icc=None, metadata=replace(image.metadata, lost=(*image.metadata.lost, PROFILE)))


def _unreadable(path: Path) -> str:
    return f"{path}: the image is damaged, truncated or of a rare variant; copy it again or convert it to PNG"
