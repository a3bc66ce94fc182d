"""Read and write image files with bit depth, grey, alpha, orientation, EXIF and ICC."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from lowvision.errors import DataError
from lowvision.imaging import exif as tags
from lowvision.imaging import headers
from lowvision.imaging.formats import BY_SUFFIX, JPEG, SIGNATURES, TIFF, WEBP
from lowvision.system.atomic import whole

logger = logging.getLogger("lowvision")

Pixels = NDArray[Any]
"""(H,W,C) with C 1 (grey), 3 (RGB) or 4 (RGB and alpha); uint8, uint16, or float32 nominally in [0,1]."""

DEPTHS = {suffix: image_format.depths for suffix, image_format in BY_SUFFIX.items()}
"""The suffixes that `write` supports, and the dtypes that each format holds, the best one last."""
FONT, FONT_WEIGHT = "sans", 400
"""A font inside OpenCV: pictures look the same on every machine."""


@dataclass(frozen=True, eq=False)
class Image:
    """An upright image with the metadata of its file."""

    pixels: Pixels
    """(H,W,C), C 1 (grey), 3 (RGB) or 4 (RGB and straight alpha); uint8, uint16, or float32 nominally in [0,1]."""
    exif: bytes | None = None
    """The EXIF block, starting at its byte-order mark, with orientation 1 and without thumbnail."""
    icc: bytes | None = None
    """The ICC profile; None if it describes other channels than these (RGB or grey)."""

    @property
    def colour(self) -> Pixels:
        """The pixels without alpha, (H,W,1) or (H,W,3)."""
        return self.pixels[..., :3]

    @property
    def alpha(self) -> Pixels | None:
        """The alpha channel (H,W,1); None for opaque images."""
        return self.pixels[..., 3:] if self.pixels.shape[-1] == 4 else None


def read(path: Path | str, largest: float | None = None) -> Image:
    """Read a PNG, JPEG, TIFF, WebP or BMP file, or another one that OpenCV decodes.

    Palettes and bits become 8-bit values, CMYK becomes RGB, grey with alpha becomes RGB with alpha. The orientation is
    applied. Raises DataError if the file is missing, empty, not an image, damaged or truncated. Damage inside a JPEG,
    WebP, BMP or TIFF file that can still be decoded is not detected; PNG has checksums.

    largest: the maximum number of pixels in the header; more raise DataError before decoding. OpenCV has its own
    limit, 2**30 pixels, set by the environment variable OPENCV_IO_MAX_IMAGE_PIXELS.
    """
    path = Path(path)
    content = _content(path)
    if largest is not None:
        _reject_larger(path, content, largest)
    pixels, blocks = _decoded(path, content)
    if content.startswith(TIFF.signatures):  # OpenCV rotates TIFFs itself, but returns no metadata
        exif, icc = tags.from_tiff(content)
    else:
        exif, icc = blocks.get(cv2.IMAGE_METADATA_EXIF), blocks.get(cv2.IMAGE_METADATA_ICCP)
        exif = exif and exif.removeprefix(b"Exif\0\0")  # a prefix of JPEG that other formats may have too
        pixels = _upright(pixels, tags.orientation(exif) if exif else 1)
    exif = tags.upright(exif) if exif else None
    return Image(np.ascontiguousarray(pixels), exif, icc if _describes(icc, pixels) else None)


def read_rgb(path: Path | str) -> Pixels:
    """Read an image as (H,W,3) uint8 or uint16: grey is replicated, alpha dropped, floats clamped to 16-bit values.

    Raises DataError as `read` does.
    """
    colour = read(path).colour
    if colour.dtype == np.float32:
        colour = _converted(colour, np.uint16)
    return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else np.ascontiguousarray(colour)


def write(path: Path | str, image: Image, quality: int = 95) -> None:
    """Write an image atomically, in the format of the suffix: .png .jpg .jpeg .tif .tiff .webp .bmp.

    quality: 1..100, for JPEG (chroma is not subsampled) and WebP (100: lossless). Depths that the format does not hold
    are rounded to its best one; JPEG drops alpha; BMP drops metadata. Raises DataError for another suffix, for a size
    that the format cannot hold and for failures of the disk; an old file is then kept.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in DEPTHS:
        raise DataError(f"{path}: cannot write '{path.suffix}'; use one of {' '.join(DEPTHS)}")
    content = _encoded(path, suffix, image, _parameters(suffix, quality, image.pixels.dtype))
    try:
        with whole(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def encoded(image: Image, suffix: str, quality: int = 95) -> bytes:
    """Return the bytes of an image file with a suffix, e.g. `.png`, for pages that embed pictures."""
    return _encoded(Path(f"picture{suffix}"), suffix, image, _parameters(suffix, quality, image.pixels.dtype))


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
    return planes if np.dtype(dtype) == np.float32 else _converted(planes, dtype)


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """Convert (C,H,W) in [0,1] to (H,W,C) uint8, clamped and rounded half up."""
    return to_pixels(x, np.uint8)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not content:
        raise DataError(f"{path}: the file is empty; copy it again")
    return content


def _reject_larger(path: Path, content: bytes, largest: float) -> None:
    """Raise DataError if the header declares more pixels than allowed: a small file may decode to a huge image."""
    size = headers.size(content)
    if size and size[0] * size[1] > largest:
        raise DataError(
            f"{path}: its header declares {size[0]}x{size[1]} pixels, the limit is {largest / 1e6:g} million; "
            "raise it (--max-megapixels) if you trust the file"
        )


def _decoded(path: Path, content: bytes) -> tuple[Pixels, dict[int, bytes]]:
    """Return the pixels, in RGB order, and the metadata blocks by OpenCV's numbers."""
    if content.startswith(TIFF.signatures):
        content = tags.with_plain_alpha(content)
    try:
        with _silence():
            # From memory: only this decoder rejects truncated JPEGs instead of filling their end with grey.
            raw, kinds, blocks = cv2.imdecodeWithMetadata(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{path}: cannot decode: {error.err}") from error
    if raw is None:
        raise DataError(_unreadable(path, content))
    if raw.dtype == np.float64:
        raw = raw.astype(np.float32)
    if raw.dtype not in (np.uint8, np.uint16, np.float32):
        raise DataError(f"{path}: has {raw.dtype} values; convert the image to 8 or 16 bits or to 32-bit floats")
    if raw.dtype == np.float32 and not np.isfinite(raw).all():
        raise DataError(f"{path}: has pixels that are NaN or infinite; replace them")
    swap = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    pixels = raw[..., None] if raw.ndim == 2 else cv2.cvtColor(raw, swap[raw.shape[2]])
    if content.startswith(TIFF.signatures):
        pixels = _corrected_tiff(path, content, pixels)
    return pixels, {int(kind): block.tobytes() for kind, block in zip(kinds, blocks, strict=True)}


def _corrected_tiff(path: Path, content: bytes, pixels: Pixels) -> Pixels:
    """Return the pixels of a TIFF that OpenCV has decoded, with its errors corrected."""
    meaning, samples = tags.layout_of_tiff(content)
    if samples == 2:
        raise DataError(f"{path}: is a TIFF of grey with alpha, and its alpha would be lost; convert it to PNG")
    if meaning == tags.WHITE_IS_ZERO and pixels.dtype == np.uint16:
        return np.iinfo(np.uint16).max - pixels
    return pixels[..., :3] if meaning == tags.CMYK else pixels


def _unreadable(path: Path, content: bytes) -> str:
    if content.startswith(SIGNATURES):
        return f"{path}: the image is damaged, truncated or of a rare variant; copy it again or convert it to PNG"
    return f"{path}: not an image of a known format; convert it to PNG, JPEG, TIFF, WebP or BMP"


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return the pixels with an EXIF orientation applied (EXIF 2.32, table 6)."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return pixels


def _describes(icc: bytes | None, pixels: Pixels) -> bool:
    """Return True if a profile is for these channels; that of a CMYK file is not, once its pixels are RGB."""
    return icc is not None and icc[16:20] == (b"GRAY" if pixels.shape[2] == 1 else b"RGB ")


def _parameters(suffix: str, quality: int, dtype: np.dtype[Any]) -> list[int]:
    if suffix in JPEG.suffixes:
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        return [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    if suffix in WEBP.suffixes:
        return [cv2.IMWRITE_WEBP_QUALITY, 101 if quality >= 100 else quality]  # above 100 OpenCV is lossless
    if suffix in TIFF.suffixes:
        floats = dtype.kind == "f"
        predictor = cv2.IMWRITE_TIFF_PREDICTOR_FLOATINGPOINT if floats else cv2.IMWRITE_TIFF_PREDICTOR_HORIZONTAL
        compression = cv2.IMWRITE_TIFF_COMPRESSION_ADOBE_DEFLATE
        return [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    return []


def _encoded(path: Path, suffix: str, image: Image, parameters: list[int]) -> bytes:
    """Return the bytes of the file; metadata that the format cannot hold is omitted with a warning."""
    pixels = _fitted(image.pixels, suffix)
    exif = image.exif and tags.with_size(image.exif, pixels.shape[1], pixels.shape[0])
    icc = image.icc if _describes(image.icc, pixels) else None
    if not BY_SUFFIX[suffix].has_opencv_metadata:
        content = _encode(suffix, pixels, {}, parameters)
        if content and suffix in TIFF.suffixes:
            content = tags.into_tiff(content, exif, icc, alpha=pixels.shape[2] == 4)
    else:
        metadata = {cv2.IMAGE_METADATA_EXIF: exif, cv2.IMAGE_METADATA_ICCP: icc}
        blocks = {kind: block for kind, block in metadata.items() if block}
        content = _encode(suffix, pixels, blocks, parameters)
        if not content and blocks:
            content = _encode(suffix, pixels, {}, parameters)
            if content:
                logger.warning("%s: EXIF and ICC do not fit into this format and were omitted", path)
    if not content:
        height, width = pixels.shape[:2]
        raise DataError(f"{path}: {suffix} cannot hold an image of {width}x{height} pixels; write .png or .tif")
    return content


def _encode(suffix: str, pixels: Pixels, blocks: dict[int, bytes], parameters: list[int]) -> bytes | None:
    """Return the bytes of the file; None if OpenCV fails."""
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    raw = pixels if pixels.shape[2] == 1 else cv2.cvtColor(pixels, swap[pixels.shape[2]])
    metadata = [np.frombuffer(block, np.uint8) for block in blocks.values()]
    try:
        with _silence():
            succeeded, content = cv2.imencodeWithMetadata(suffix, raw, list(blocks), metadata, parameters)
    except cv2.error:
        return None
    return bytes(content) if succeeded else None


def _fitted(pixels: Pixels, suffix: str) -> Pixels:
    """Return the pixels with a dtype and channels that the format holds."""
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(f"pixels must be (H,W,C) with C 1, 3 or 4, not {pixels.shape}")
    if suffix in JPEG.suffixes:
        pixels = pixels[..., :3]
    depths = DEPTHS[suffix]
    fitted = pixels if pixels.dtype.name in depths else _converted(pixels, depths[-1])
    return np.ascontiguousarray(fitted)


def _converted(pixels: Pixels, dtype: DTypeLike) -> Pixels:
    """Return pixels as another integer type, clamped and rounded half up."""
    largest = np.float32(np.iinfo(dtype).max)
    unit = pixels if pixels.dtype.kind == "f" else pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return (unit.clip(0, 1) * largest + np.float32(0.5)).astype(dtype)


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress OpenCV's log; callers raise their own errors."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
