"""Read TIFF and BigTIFF files with tifffile: all pages, bit depths, layouts and kinds of alpha.

Source: TIFF 6.0; Adobe's technical notes on TIFF. Kinds of fax compression are decoded by Pillow's libtiff.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import JpegImagePlugin, TiffImagePlugin

from lowvision.errors import DataError, summary_of
from lowvision.imaging import exif as tags
from lowvision.imaging import library_messages, tiff_tags
from lowvision.imaging.alpha import straight
from lowvision.imaging.image import Image, Metadata, Pixels, oriented, spread
from lowvision.imaging.limits import Limit

logger = logging.getLogger("lowvision")

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
"""Values of the photometric interpretation."""
JPEG_COMPRESSION = 7
BOUNDED = frozenset({1, 5, JPEG_COMPRESSION, 8, 32773, 32946, 34925, 34926, 50000})
"""Compressions with a bound on what is returned: none, LZW, JPEG, deflate, PackBits, LZMA, Zstd."""
LIBTIFF = frozenset({2, 3, 4, 6})
"""Compressions that libtiff decodes: fax and the first kind of JPEG."""
XMP, IPTC, PHOTOSHOP, ICC, SUBFILES, SUBFILE_KIND = 700, 33723, 34377, 34675, 330, 254
RAW = frozenset({32803, 34892})
"""Photometric interpretations of sensors: colour filter array and linear raw."""
CANON = b"CR"
"""Bytes 8 and 9 of a raw file of Canon (CR2)."""
PAGE_TAGS = frozenset({IPTC, PHOTOSHOP, 285, 297})
"""Tags that are copied as they are: IPTC, Photoshop's resources, name and number of a page."""
KEPT = PAGE_TAGS | tags.DESCRIPTIVE | {XMP, ICC}


def read(path: Path, content: bytes, limit: Limit, all_pages: bool) -> list[Image]:
    """Return the pages of a file. Raises DataError."""
    import tifffile  # here: importing it takes 0.1 s

    try:
        with _silence(), tifffile.TiffFile(BytesIO(content)) as file:
            images = []
            for number in range(len(file.pages) if all_pages else 1):
                page = file.pages[number].aspage()
                images.append(_image(path, content, page, number, limit))
            if not images:
                raise DataError(f"{path}: holds no image; copy it again")
            return images
    except (DataError, MemoryError):
        raise
    except Exception as error:  # tifffile and its decoders raise many types for damaged files
        raise DataError(
            f"{path}: the image is damaged, truncated or of a rare variant ({summary_of(error)}); copy it again or "
            "convert it to PNG"
        ) from error


def count_pages(content: bytes) -> int:
    """Return the number of pages; 1 if the file is damaged."""
    import tifffile

    try:
        with _silence(), tifffile.TiffFile(BytesIO(content)) as file:
            return max(len(file.pages), 1)
    except Exception:
        return 1


def _image(path: Path, content: bytes, page: Any, number: int, limit: Limit) -> Image:
    limit.add(path, page.imagewidth, page.imagelength)
    _check_developed(path, content, page)
    _check_layout(path, page)
    pixels = _libtiff(path, content, page, number) if _needs_libtiff(page) else _interpreted(path, page, content)
    turn = page.tags.valueof(tags.ORIENTATION, 1)
    turn = turn if turn in range(1, 9) else 1
    if SUBFILES in page.tags:
        logger.warning("%s: further images inside the file (SubIFDs) were omitted", path)
    icc, xmp = (_bytes(page, tag) for tag in (ICC, XMP))
    exif = tags.from_tiff(content, page.offset, turn)
    return Image(
        np.ascontiguousarray(oriented(pixels, turn)),
        exif and tags.upright(exif),
        icc,
        Metadata(xmp=xmp, tiff=tuple(_kept_tags(page)), lost=tiff_tags.lost(page.tags.keys(), KEPT)).turned(turn),
    )


def _check_developed(path: Path, content: bytes, page: Any) -> None:
    """Raise DataError for the raw file of a camera (DNG, NEF, ARW, CR2), whose first image is at most a preview."""
    is_preview = bool(int(page.tags.valueof(SUBFILE_KIND, 0)) & 1) and SUBFILES in page.tags
    if is_preview or page.photometric in RAW or content[8:10] == CANON:
        raise DataError(f"{path}: is a raw file of a camera, which must be developed first; export it as TIFF or PNG")


def _check_layout(path: Path, page: Any) -> None:
    """Raise DataError for volumes, many channels, and strips or tiles far larger than the image."""
    if page.imagedepth != 1 or not page.imagewidth or not page.imagelength:
        raise DataError(f"{path}: is a volume or empty; convert it to pages")
    if page.samplesperpixel > 8:
        raise DataError(f"{path}: has {page.samplesperpixel} channels; convert it to grey or RGB")
    pixels = page.imagewidth * page.imagelength
    if page.is_tiled and page.tilewidth * page.tilelength > max(4 * pixels, 2**24):
        raise DataError(f"{path}: its tiles are far larger than the image; the file is damaged")


def _needs_libtiff(page: Any) -> bool:
    return page.compression in LIBTIFF or (page.photometric == YCBCR and page.compression != JPEG_COMPRESSION)


def _libtiff(path: Path, content: bytes, page: Any, number: int) -> Pixels:
    """Decode a page of 1 or 8 bits by Pillow."""
    with library_messages.hidden(), TiffImagePlugin.TiffImageFile(BytesIO(content)) as file:
        file.seek(number)
        if file.size != (page.imagewidth, page.imagelength) or file.mode not in {"1", "L", "RGB", "YCbCr"}:
            raise DataError(f"{path}: is a TIFF of a rare variant; convert it to PNG")
        return np.atleast_3d(np.asarray(file.convert("L" if file.mode in {"1", "L"} else "RGB")))


def _interpreted(path: Path, page: Any, content: bytes) -> Pixels:
    """Return the samples of a page as grey, RGB or RGBA."""
    samples = _samples(path, page, content)
    meaning = page.photometric
    if meaning == PALETTE:
        return _coloured(page, samples[..., 0])
    bits = 8 * samples.dtype.itemsize if samples.dtype.kind == "f" else _bits(path, page)
    samples = _depth(path, samples, bits)
    colours = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, YCBCR: 3, CMYK: 4}.get(meaning, 0)
    if not colours or samples.shape[2] < colours:
        raise DataError(f"{path}: is a TIFF of colour model {int(meaning)}, which is not supported; convert it to PNG")
    colour, more = samples[..., :colours], samples[..., colours:]
    if meaning == WHITE_IS_ZERO:
        colour = (1 if colour.dtype.kind == "f" else np.iinfo(colour.dtype).max) - colour
    if meaning == CMYK:
        colour = _rgb_of_cmyk(path, colour)
    return _with_alpha(path, page, colour, more)


def _samples(path: Path, page: Any, content: bytes) -> Pixels:
    """Return all samples (H,W,S). Raises DataError if a strip or tile is missing or cut short."""
    if page.dtype is None or page.compression not in BOUNDED:
        raise DataError(f"{path}: is a TIFF of a rare variant; convert it to PNG")
    places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    # Fewer strips than the image has, or strips without bytes, would leave pixels undefined.
    if len(places) != int(np.prod(page.chunked)) or any(o < 8 or n < 1 or o + n > len(content) for o, n in places):
        raise DataError(
            f"{path}: the image is damaged, truncated or of a rare variant: strips or tiles are missing; copy it again"
        )
    if page.compression == JPEG_COMPRESSION:
        _check_jpegs(path, page, content, places)
    planes = np.zeros(page.shaped, page.dtype)  # zeros: a decoder that writes less must not leave old memory
    page.asarray(out=planes, squeeze=False, maxworkers=1)
    separate, _, height, width, _ = planes.shape  # (S or 1, 1, H, W, 1 or S)
    return np.moveaxis(planes, 0, -2).reshape(height, width, -1) if separate > 1 else planes[0, 0]


def _check_jpegs(path: Path, page: Any, content: bytes, places: Sequence[tuple[int, int]]) -> None:
    """Raise DataError if a JPEG inside the file is larger than its strip or tile: the decoder would allocate it."""
    width, height = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
    for offset, count in places:
        with JpegImagePlugin.JpegImageFile(BytesIO(content[offset : offset + count])) as jpeg:
            if jpeg.size[0] > width or jpeg.size[1] > max(height, page.imagelength):
                raise DataError(f"{path}: holds a JPEG of {jpeg.size[0]}x{jpeg.size[1]} pixels; the file is damaged")


def _bits(path: Path, page: Any) -> int:
    if page.dtype.kind not in "ub" or not isinstance(page.bitspersample, int) or page.bitspersample > 16:
        raise DataError(f"{path}: has {page.dtype} values; convert the image to 8 or 16 bits or to 32-bit floats")
    return page.bitspersample


def _depth(path: Path, samples: Pixels, bits: int) -> Pixels:
    if samples.dtype.kind == "f":
        return samples.astype(np.float32, copy=False)
    return spread(samples.astype(np.uint8) if samples.dtype == bool else samples, bits)


def _coloured(page: Any, index: Pixels) -> Pixels:
    """Return the RGB pixels of indices into the file's palette."""
    palette = np.asarray(page.colormap).reshape(3, -1).T  # (colours, 3), 16 bits
    if palette.max(initial=0) > 255:  # some programs write 8 bits
        palette = palette >> 8
    return palette.astype(np.uint8)[index.astype(np.intp)]


def _rgb_of_cmyk(path: Path, samples: Pixels) -> Pixels:
    if samples.dtype.kind == "f":
        raise DataError(f"{path}: is CMYK of floats; convert it to RGB")
    largest = int(np.iinfo(samples.dtype).max)
    light = largest - samples.astype(np.uint32)
    return ((light[..., :3] * light[..., 3:] + largest // 2) // largest).astype(samples.dtype)


def _with_alpha(path: Path, page: Any, colour: Pixels, more: Pixels) -> Pixels:
    """Return colour with the first of the further channels if it is alpha."""
    kinds = tuple(int(kind) for kind in page.extrasamples) or ((2,) if more.shape[2] == 1 else ())
    alphas = [n for n, kind in enumerate(kinds[: more.shape[2]]) if kind in {1, 2}]
    if more.shape[2] > len(alphas[:1]):
        logger.warning("%s: further channels, which are neither colour nor alpha, were omitted", path)
    if not alphas:
        return colour
    pixels = np.concatenate(
        [np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour, more[..., alphas[0] : alphas[0] + 1]], axis=2
    )
    return straight(pixels) if kinds[alphas[0]] == 1 else pixels


def _bytes(page: Any, tag: int) -> bytes | None:
    tag_entry = page.tags.get(tag)
    value = tag_entry.value if tag_entry is not None else None
    return value.encode("latin-1") if isinstance(value, str) else value if isinstance(value, bytes) else None


def _kept_tags(page: Any) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the tags of a page that are copied as they are."""
    kind = int(page.tags.valueof(SUBFILE_KIND, 0)) & 7
    if kind:
        yield SUBFILE_KIND, 4, 1, struct.pack("<L", kind)
    for tag in PAGE_TAGS:
        entry = page.tags.get(tag)
        if entry is None:
            continue
        if tag == 297 and isinstance(entry.value, tuple):
            yield 297, 3, 2, struct.pack("<2H", *entry.value[:2])
        elif value := _bytes(page, tag):
            yield (tag, 2, len(value) + 1, value + b"\0") if tag == 285 else (tag, 7, len(value), value)


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress tifffile's log; callers raise their own errors."""
    log = logging.getLogger("tifffile")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
