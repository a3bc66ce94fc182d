"""Carry IPTC and Photoshop's resources between JPEG and TIFF, which store the same bytes in different places.

JPEG: segments APP13 that begin with `Photoshop 3.0` together hold a list of resources; resource 0x0404 is IPTC.
TIFF: tag 34377 holds that list, tag 33723 IPTC alone. Sources: Adobe Photoshop file formats specification, "Image
resources section"; IPTC-NAA information interchange model, 4.2, where every data set begins with byte 0x1C.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from lowvision.imaging.image import Metadata

PREFIX = b"Photoshop 3.0\0"
"""First bytes of a segment APP13 with resources."""
IPTC_RESOURCE = 0x0404
IPTC_TAG, RESOURCES_TAG = 33723, 34377
UNDEFINED = 7
"""Type of a TIFF tag whose values are bytes of any meaning."""
SIGNATURES = frozenset({b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR"})
"""First bytes of a resource."""
FIRST_OF_IPTC = b"\x1c"

Resource = tuple[int, bytes, bytes]
"""Number, header up to the name, and data."""


def for_tiff(metadata: Metadata) -> Metadata:
    """Return the metadata with the resources of JPEG segments as TIFF tags; unchanged if they are damaged."""
    segments = [data for name, data in metadata.jpeg if _holds_resources(name, data)]
    try:
        resources = list(_resources(b"".join(data.removeprefix(PREFIX) for data in segments)))
    except ValueError:
        return metadata
    if not resources:
        return metadata
    blocks = [(RESOURCES_TAG, b"".join(map(_packed, resources)))]
    blocks += [(IPTC_TAG, data) for number, _, data in resources if number == IPTC_RESOURCE][:1]
    own = {tag for tag, *_ in metadata.tiff}
    tags = tuple((tag, UNDEFINED, len(data), data) for tag, data in blocks if data and tag not in own)
    others = tuple(segment for segment in metadata.jpeg if not _holds_resources(*segment))
    return replace(metadata, jpeg=others, tiff=metadata.tiff + tags)


def for_jpeg(metadata: Metadata, largest_segment: int) -> Metadata:
    """Return the metadata with IPTC and resources of TIFF tags as JPEG segments; what is damaged stays a tag."""
    blocks = {tag: data for tag, _, _, data in metadata.tiff if tag in (IPTC_TAG, RESOURCES_TAG)}
    iptc, converted, resources = blocks.get(IPTC_TAG, b""), set[int](), list[Resource]()
    try:
        resources += list(_resources(blocks.get(RESOURCES_TAG, b"")))  # all or none
        converted.add(RESOURCES_TAG)
    except ValueError:
        pass
    if iptc.startswith(FIRST_OF_IPTC):
        resources = [resource for resource in resources if resource[0] != IPTC_RESOURCE]
        resources.append((IPTC_RESOURCE, b"8BIM" + struct.pack(">H2x", IPTC_RESOURCE), iptc))
        converted.add(IPTC_TAG)
    packed = b"".join(map(_packed, resources))
    size = largest_segment - len(PREFIX)
    segments = tuple(("APP13", PREFIX + packed[at : at + size]) for at in range(0, len(packed), size))
    others = tuple(tag for tag in metadata.tiff if tag[0] not in converted)
    return replace(metadata, jpeg=metadata.jpeg + segments, tiff=others)


def _holds_resources(name: str, data: bytes) -> bool:
    return name == "APP13" and data.startswith(PREFIX)


def _resources(block: bytes) -> Iterator[Resource]:
    """Yield the resources of a list. Raises ValueError if it is damaged."""
    at = 0
    while at < len(block):
        if block[at : at + 4] not in SIGNATURES or at + 7 > len(block):
            if block[at:].strip(b"\0"):
                raise ValueError("not a resource")
            return  # some programs pad the list
        name_end = at + 6 + _even(1 + block[at + 6])
        try:
            number, size = struct.unpack_from(">H", block, at + 4)[0], struct.unpack_from(">L", block, name_end)[0]
        except struct.error:
            raise ValueError("a resource is cut short") from None
        data = block[name_end + 4 : name_end + 4 + size]
        if len(data) < size:
            raise ValueError("a resource is cut short")
        yield number, block[at:name_end], data
        at = name_end + 4 + _even(size)


def _packed(resource: Resource) -> bytes:
    """Return the bytes of a resource in a list."""
    _, header, data = resource
    return header + struct.pack(">L", len(data)) + data + b"\0" * (len(data) % 2)


def _even(size: int) -> int:
    return size + size % 2
