"""Convert frames between the YUV of a clip and the RGB of the networks, by the clip's matrix and range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowvision.errors import DataError
from lowvision.video.library import pyav

UNSPECIFIED = 2
"""Value of matrix, primaries and transfer that means unknown (ITU-T H.273)."""
RGB = 0
"""The matrix of RGB."""
BT709, BT470BG, SMPTE170M, BT2020 = 1, 5, 6, 9
SWSCALE = {BT709: 1, 4: 4, BT470BG: 5, SMPTE170M: 5, 7: 7, BT2020: 9}
"""Matrix (ITU-T H.273) to that of libswscale, for those that it can convert."""
LIMITED, FULL = 1, 2
"""Ranges: luma 16..235 of 8 bits, or 0..255."""
HD_HEIGHT = 720
"""Players take BT.709 for a clip without a matrix from this height on, and BT.601 below."""


@dataclass(frozen=True)
class Tags:
    """Colour tags of a clip (ITU-T H.273)."""

    matrix: int
    primaries: int
    transfer: int
    range: int
    """`LIMITED` or `FULL`."""


def tags_of(frame: Any) -> Tags:
    """Return the tags of a decoded frame; an unknown matrix is the one that players take for its size.

    The result of a small clip is large: without a matrix, players would take another one for it. So it is written.
    Raises DataError for a matrix that cannot be converted.
    """
    matrix, is_full = int(frame.colorspace), int(frame.color_range) == FULL or "yuvj" in frame.format.name
    if frame.format.is_rgb:
        matrix, is_full = BT709, False  # becomes YUV in the result
    elif matrix in (UNSPECIFIED, RGB):
        matrix = BT709 if frame.height >= HD_HEIGHT else (BT470BG if frame.height == 576 else SMPTE170M)
    if matrix not in SWSCALE:
        raise DataError(
            f"has the colour matrix {matrix} of ITU-T H.273, which cannot be converted; re-encode as BT.709"
        )
    return Tags(matrix, int(frame.color_primaries), int(frame.color_trc), FULL if is_full else LIMITED)


def bits_of(frame: Any) -> int:
    """Return the bits per component of a decoded frame."""
    return max(component.bits for component in frame.format.components)


def to_pixels(frame: Any, tags: Tags) -> NDArray[Any]:
    """Convert a decoded frame to (H,W,3): uint8, or uint16 if it has more bits."""
    reformatter = pyav().video.reformatter
    options = {} if frame.format.is_rgb else {"src_colorspace": SWSCALE[tags.matrix], "src_color_range": tags.range}
    rgb = frame.reformat(
        format="rgb24" if bits_of(frame) <= 8 else "rgb48le",
        dst_color_range=FULL,
        interpolation=_accurate(reformatter),
        **options,
    )
    pixels: NDArray[Any] = rgb.to_ndarray()
    return pixels


def to_frame(pixels: NDArray[Any], pixel_format: str, tags: Tags) -> Any:
    """Convert pixels (H,W,3), uint8 or uint16, to a frame of a YUV format."""
    av = pyav()
    name = "rgb24" if pixels.dtype == np.uint8 else "rgb48le"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=name)
    return frame.reformat(
        format=pixel_format,
        dst_colorspace=SWSCALE[tags.matrix],
        src_color_range=FULL,
        dst_color_range=tags.range,
        interpolation=_accurate(av.video.reformatter),
    )


def _accurate(reformatter: Any) -> Any:
    """Return the flags of libswscale without its shortcuts: they change colours by several levels."""
    kind = reformatter.Interpolation
    return kind.BICUBIC | kind.ACCURATE_RND | kind.FULL_CHR_H_INT | kind.FULL_CHR_H_INP | kind.BITEXACT
