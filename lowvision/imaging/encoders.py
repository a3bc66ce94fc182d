"""Encode images of each format with all metadata that it can hold."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from lowvision.errors import DataError, summary_of
from lowvision.imaging import exif as tags
from lowvision.imaging import iptc, png, tiff_writer
from lowvision.imaging import xmp as packets
from lowvision.imaging.alpha import flattened
from lowvision.imaging.formats import BMP, BY_SUFFIX, JPEG, PNG, TIFF, WEBP, ImageFormat
from lowvision.imaging.image import Frames, Image, Metadata, Pixels, converted, describes
from lowvision.imaging.pillow_reader import XMP_PREFIX

logger = logging.getLogger("lowvision")

LARGEST_SEGMENT = 65533
"""Bytes of data in one JPEG segment."""
LARGEST_ICC = 255 * 65519
"""Bytes of an ICC profile in JPEG segments."""
JFIF_DENSITY = 13
"""Offset of the unit and the density in a JPEG file."""
JPEG_NAMES = {
    "COM": "comments of JPEG",
    "APP13": "IPTC and Photoshop's resources of JPEG",
    "APP1": "the rest of a long XMP packet",
}
"""Names of segments for people."""
TIFF_NAMES = {33723: "IPTC of TIFF", 34377: "Photoshop's resources of TIFF", 285: "the names of pages"}
Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)


def encode(path: Path, frames: Frames, quality: int, background: Colour = WHITE) -> bytes:
    """Return the bytes of a file in the format of the suffix of `path`; it is not written. Raises DataError."""
    image_format = BY_SUFFIX[path.suffix.lower()]
    check_frames(path, frames)
    images = [_fitted(path, image, image_format, background) for image in frames.images]
    first = images[0]
    if image_format is TIFF:
        return tiff_writer.encode(path, images)
    if image_format is PNG:
        content = _animation(path, "PNG", images, frames, {}) if frames.is_animation else _opencv(path, ".png", first)
        return png.with_chunks(content, png.blocks_to_write(first.exif, first.icc, first.metadata))
    if image_format is WEBP:
        options = _webp_options(first, quality)
        return _animation(path, "WEBP", images, frames, options) if frames.is_animation else _webp(first, options)
    if image_format is JPEG:
        return _multi_picture([_jpeg(path, image, quality) for image in images])
    return _bmp(path, first)


def check_frames(path: Path, frames: Frames) -> None:
    """Raise DataError if the format of a suffix cannot hold these frames."""
    count = len(frames.images)
    if count > 1 and BY_SUFFIX[path.suffix.lower()].frames != ("animation" if frames.is_animation else "pages"):
        kind, way_out = ("frames", "png or webp") if frames.is_animation else ("pages", "tif")
        raise DataError(
            f"{path}: {path.suffix} cannot hold {count} {kind}; write {way_out} (--format), or the first one only "
            "(--frames first)"
        )


def check_size(path: Path, height: int, width: int) -> None:
    """Raise DataError if the format of a suffix cannot hold an image of this size."""
    longest = BY_SUFFIX[path.suffix.lower()].longest_side
    if longest and max(height, width) > longest:
        way_out = "write .png or .tif" if max(height, width) <= (PNG.longest_side or 0) else "request a smaller one"
        raise DataError(
            f"{path}: {path.suffix} cannot hold an image of {width}x{height} pixels, only up to {longest} a side; "
            f"{way_out}"
        )


def _fitted(path: Path, image: Image, image_format: ImageFormat, background: Colour) -> Image:
    """Return the image with a dtype, channels and metadata that the format holds."""
    pixels = image.pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(f"pixels must be (H,W,C) with C 1, 3 or 4, not {pixels.shape}")
    height, width = pixels.shape[:2]
    check_size(path, height, width)
    if image_format is JPEG and pixels.shape[2] == 4:
        pixels = flattened(pixels, background)
    if pixels.dtype.name not in image_format.depths:
        pixels = converted(pixels, image_format.depths[-1])
    exif = image.exif and tags.with_size(image.exif, width, height)
    icc = image.icc if describes(image.icc, pixels) else None
    metadata = image.metadata
    metadata = replace(
        metadata,
        dpi=metadata.dpi or (tags.resolution(exif) if exif and not metadata.aspect else None),
        xmp=metadata.xmp and packets.with_size(metadata.xmp, width, height),
    )
    if image_format is JPEG:
        metadata = iptc.for_jpeg(metadata, LARGEST_SEGMENT)
    elif image_format is TIFF:
        metadata = iptc.for_tiff(metadata)
    if omitted := _not_held(image_format, exif, icc, metadata):
        logger.warning("%s: omitted what this format cannot hold: %s", path, ", ".join(omitted))
        exif, icc = (None, None) if image_format is BMP else (exif, icc)
    return Image(np.ascontiguousarray(pixels), exif, icc, metadata, image.is_lossless_webp)


def _not_held(image_format: ImageFormat, exif: bytes | None, icc: bytes | None, metadata: Metadata) -> list[str]:
    """Return the names of the metadata that a format has no place for."""
    names = list(metadata.lost)
    if image_format is BMP:
        names += [name for name, block in (("EXIF", exif), ("ICC", icc), ("XMP", metadata.xmp)) if block]
    if image_format is WEBP and metadata.dpi and not exif:
        names.append("the resolution")
    if image_format in (WEBP, BMP) and metadata.aspect:
        names.append("the shape of pixels")
    if image_format is not PNG and metadata.png:
        kinds = {name for name, _ in metadata.png} - {b"sRGB"}  # sRGB is what other formats mean without a profile
        names += ["PNG text"] if kinds & set(png.TEXT) else []
        names += ["the colour space of PNG chunks"] if kinds & set(png.COLOUR) else []
    if image_format is not JPEG:
        kept = {name for name, _ in metadata.jpeg}
        names += [text for name, text in JPEG_NAMES.items() if name in kept]
    if image_format is not TIFF:
        kept_tags = {tag for tag, *_ in metadata.tiff}
        names += [text for tag, text in TIFF_NAMES.items() if tag in kept_tags]
    return names


def _opencv(path: Path, suffix: str, image: Image) -> bytes:
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    pixels = image.pixels
    raw = pixels if pixels.shape[2] == 1 else cv2.cvtColor(pixels, swap[pixels.shape[2]])
    try:
        with silence():
            succeeded, content = cv2.imencode(suffix, raw)
    except cv2.error:
        succeeded = False
    if not succeeded:
        height, width = pixels.shape[:2]
        raise DataError(f"{path}: {suffix} cannot hold an image of {width}x{height} pixels; write .png or .tif")
    return bytes(content)


def _bmp(path: Path, image: Image) -> bytes:
    content = bytearray(_opencv(path, ".bmp", image))
    if image.metadata.dpi:
        struct.pack_into("<ll", content, 38, *(round(value * png.METRE) for value in image.metadata.dpi))
    return bytes(content)


def _webp_options(image: Image, quality: int) -> dict[str, object]:
    # exact: colour below transparent pixels is kept, like everything else in lossless files
    lossless = quality >= 100 or image.is_lossless_webp
    blocks = {"exif": image.exif or b"", "icc_profile": image.icc or b"", "xmp": image.metadata.xmp or b""}
    return {"quality": quality, "lossless": lossless, "exact": lossless, **blocks}


def _webp(image: Image, options: dict[str, object]) -> bytes:
    buffer = BytesIO()
    _pillow(image.pixels).save(buffer, "WEBP", **options)
    return buffer.getvalue()


def _animation(path: Path, kind: str, images: list[Image], frames: Frames, options: dict[str, object]) -> bytes:
    """Return an animation; every frame is stored as it is shown."""
    if any(image.pixels.shape[:2] != images[0].pixels.shape[:2] for image in images):
        raise DataError(f"{path}: frames have different sizes; take --frames first")
    channels = max(image.pixels.shape[2] for image in images)
    mode = {1: "L" if kind == "PNG" else "RGB", 3: "RGB", 4: "RGBA"}[channels]
    pictures = [_pillow(_eight_bits(image.pixels)).convert(mode) for image in images]
    buffer = BytesIO()
    try:
        pictures[0].save(
            buffer,
            kind,
            save_all=True,
            append_images=pictures[1:],
            duration=[round(duration) for duration in frames.durations],
            loop=frames.loops,
            **options,
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot write the animation: {summary_of(error)}; take --format png") from error
    return buffer.getvalue()


def _eight_bits(pixels: Pixels) -> Pixels:
    return pixels if pixels.dtype == np.uint8 else converted(pixels, np.uint8)


def _pillow(pixels: Pixels) -> PIL.Image.Image:
    return PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _jpeg(path: Path, image: Image, quality: int) -> bytes:
    """Return a JPEG file without subsampling of chroma."""
    extra = b""
    omitted: list[str] = []
    exif, icc, metadata = image.exif, image.icc, image.metadata
    if exif and len(exif) + 6 > LARGEST_SEGMENT:
        exif = None
        omitted.append("EXIF")
    if icc and len(icc) > LARGEST_ICC:
        icc = None
        omitted.append("ICC")
    for name, data in (*([("APP1", XMP_PREFIX + metadata.xmp)] if metadata.xmp else []), *metadata.jpeg):
        if len(data) > LARGEST_SEGMENT:
            omitted.append("XMP" if name == "APP1" else name)
        else:
            marker = 0xFE if name == "COM" else 0xE0 + int(name.removeprefix("APP"))
            extra += struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data
    if omitted:
        logger.warning("%s: omitted what this format cannot hold: %s", path, ", ".join(omitted))
    options = {"exif": b"Exif\0\0" + exif} if exif else {}
    dpi = tuple(round(value) for value in metadata.dpi) if metadata.dpi else (0, 0)
    buffer = BytesIO()
    _pillow(image.pixels).save(
        buffer, "JPEG", quality=quality, subsampling=0, icc_profile=icc, extra=extra, dpi=dpi, **options
    )
    content = buffer.getvalue()
    if metadata.aspect and not metadata.dpi:
        divisor = max(metadata.aspect) // 2**16 + 1
        density = struct.pack(">BHH", 0, *(max(value // divisor, 1) for value in metadata.aspect))
        content = content[:JFIF_DENSITY] + density + content[JFIF_DENSITY + len(density) :]
    return content


def _multi_picture(jpegs: list[bytes]) -> bytes:
    """Return a multi-picture file (CIPA DC-007) of several JPEG files."""
    if len(jpegs) == 1:
        return jpegs[0]
    start = 20  # after SOI and the JFIF segment
    index = struct.pack("<4sL", b"II*\0", 8) + struct.pack("<H", 3)
    index += struct.pack("<HHL4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHLL", 0xB001, 4, 1, len(jpegs))
    index += struct.pack("<HHLL", 0xB002, 7, 16 * len(jpegs), 8 + 2 + 3 * 12 + 4) + struct.pack("<L", 0)
    length = len(index) + 16 * len(jpegs)
    header = 4 + 4  # marker, length, "MPF\0"
    sizes = [len(jpegs[0]) + header + length, *(len(content) for content in jpegs[1:])]
    base = start + header  # offsets are counted from the byte-order mark
    at = 0
    for number, size in enumerate(sizes):
        index += struct.pack("<LLLHH", 0x030000 if number == 0 else 0, size, at - base if number else 0, 0, 0)
        at += size
    segment = struct.pack(">BBH4s", 0xFF, 0xE2, length + 6, b"MPF\0") + index
    return jpegs[0][:start] + segment + jpegs[0][start:] + b"".join(jpegs[1:])


@contextmanager
def silence() -> Iterator[None]:
    """Suppress OpenCV's log; callers raise their own errors."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
