"""Write TIFF files with tifffile: compressed pages with their tags."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from lowvision.imaging import exif as tags
from lowvision.imaging.image import Image, Metadata

logger = logging.getLogger("lowvision")

XMP, ICC, SUBFILE, PAGE_NUMBER = 700, 34675, 254, 297
DESCRIPTION = 270
PLACEHOLDERS = {tags.EXIF: 34666, tags.GPS: 34854}
"""Unused tags, at the same place in the order of tags, for directories, which tifffile does not write."""
LARGEST_CLASSIC = 2**32 - 2**26
"""Bytes of pixels above which the file becomes a BigTIFF."""
SHORT, LONG, RATIONAL, UNDEFINED = 3, 4, 5, 7


def encode(path: Path, images: Sequence[Image]) -> bytes:
    """Return the bytes of a file with one page per image."""
    import tifffile  # here: importing it takes 0.1 s

    big = sum(image.pixels.nbytes for image in images) > LARGEST_CLASSIC
    described = [_described(path, image) for image in images]
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=big, byteorder="<") as writer:
        for image, directory in zip(images, described, strict=True):
            _write_page(writer, image, directory)
    if big:
        if any(isinstance(value, dict) for directory in described for value in directory.values()):
            logger.warning("%s: EXIF directories were omitted, because the file is larger than 4 GiB", path)
        return buffer.getvalue()
    return _with_directories(buffer, described)


def _described(path: Path, image: Image) -> tags.Directory:
    """Return the tags of the EXIF block, without a description that states another size of the pixels."""
    directory = tags.described(image.exif) if image.exif else {}
    height, width = image.pixels.shape[:2]
    text = directory.get(DESCRIPTION)
    value = text.value if isinstance(text, tags.Tag) else b""
    if value.startswith(b'{"shape":'):  # by tifffile, which would compare it with the pixels
        del directory[DESCRIPTION]
    elif b"<OME " in value and not (b'SizeX="%d"' % width in value and b'SizeY="%d"' % height in value):
        del directory[DESCRIPTION]
        logger.warning(
            "%s: the OME description was omitted, because it states another size than %dx%d", path, width, height
        )
    return directory


def _write_page(writer: Any, image: Image, described: tags.Directory) -> None:
    pixels, metadata = image.pixels, image.metadata
    channels = pixels.shape[2]
    resolution, unit = _resolution(described, metadata)
    writer.write(
        pixels[..., 0] if channels == 1 else pixels,
        photometric="minisblack" if channels == 1 else "rgb",
        planarconfig=None if channels == 1 else "contig",
        extrasamples=["unassalpha"] if channels == 4 else None,
        compression="adobe_deflate",
        predictor=3 if pixels.dtype.kind == "f" else 2,
        metadata=None,
        software=False,
        contiguous=False,
        subfiletype=next((value[0] for tag, _, _, value in metadata.tiff if tag == SUBFILE), 0),
        resolution=resolution,
        resolutionunit=unit,
        extratags=list(_extra(image, described)),
    )


def _resolution(described: tags.Directory, metadata: Metadata) -> tuple[Any, int]:
    """Return the resolution as tifffile takes it, and its unit: 1 none, 2 inch, 3 centimetre."""
    values = [described.get(tag) for tag in (tags.RESOLUTION_X, tags.RESOLUTION_Y)]
    if all(isinstance(value, tags.Tag) and value.kind == RATIONAL and value.count == 1 for value in values):
        unit = described.get(tags.RESOLUTION_UNIT)
        number = int.from_bytes(unit.value, "little") if isinstance(unit, tags.Tag) else 2
        pairs = tuple(struct.unpack("<LL", value.value) for value in values if isinstance(value, tags.Tag))
        if all(numerator and denominator for numerator, denominator in pairs):
            return pairs, number if number in {1, 2, 3} else 2
    if metadata.dpi or metadata.aspect:
        return metadata.dpi or metadata.aspect, 2 if metadata.dpi else 1
    return (1.0, 1.0), 1


def _extra(image: Image, described: tags.Directory) -> list[tuple[int, int, int, bytes, bool]]:
    """Return the tags besides those of the pixels, as tifffile takes them."""
    own = {tags.RESOLUTION_X, tags.RESOLUTION_Y, tags.RESOLUTION_UNIT}
    extra = [
        (tag, item.kind, item.count, item.value)
        for tag, item in described.items()
        if isinstance(item, tags.Tag) and tag not in own
    ]
    extra += [(PLACEHOLDERS[tag], LONG, 1, bytes(4)) for tag, item in described.items() if isinstance(item, dict)]
    if image.icc:
        extra.append((ICC, UNDEFINED, len(image.icc), image.icc))
    if image.metadata.xmp:
        extra.append((XMP, 1, len(image.metadata.xmp), image.metadata.xmp))
    extra += [item for item in image.metadata.tiff if item[0] != SUBFILE]
    return [(*item, True) for item in extra]


def _with_directories(buffer: BytesIO, described: Sequence[tags.Directory]) -> bytes:
    """Return the file with the EXIF and GPS directories of its pages at the end, in place of the placeholders."""
    import tifffile

    content = bytearray(buffer.getvalue())
    buffer.seek(0)
    with tifffile.TiffFile(buffer) as file:
        for page, directory in zip(file.pages, described, strict=True):
            for tag, placeholder in PLACEHOLDERS.items():
                item = directory.get(tag)
                if isinstance(item, dict):
                    content += bytes(len(content) % 2)
                    entry = page.aspage().tags[placeholder].offset
                    struct.pack_into("<HHLL", content, entry, tag, LONG, 1, len(content))
                    content += tags.packed(item, len(content))
    return bytes(content)
