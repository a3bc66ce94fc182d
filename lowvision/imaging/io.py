"""Reads and writes image files whole: bit depth, grey, alpha, orientation, EXIF and ICC."""

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
from lowvision.system.atomic import whole

logger = logging.getLogger("lowvision")

Pixels = NDArray[Any]
"""(H,W,C) with C 1 (grey), 3 (RGB) or 4 (RGB and alpha); uint8, uint16, or float32 nominally in [0,1]."""

DEPTHS: dict[str, tuple[type[np.generic], ...]] = {
    ".png": (np.uint8, np.uint16),
    ".jpg": (np.uint8,),
    ".jpeg": (np.uint8,),
    ".tif": (np.uint8, np.uint16, np.float32),
    ".tiff": (np.uint8, np.uint16, np.float32),
    ".webp": (np.uint8,),
    ".bmp": (np.uint8,),
}
"""The endings that `write` knows, and the kinds of number that each format holds, best last."""
WITH_METADATA = frozenset({".png", ".jpg", ".jpeg", ".webp"})
"""Where OpenCV writes EXIF and ICC itself."""
TIFF = (b"II*\0", b"MM\0*")
SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", *TIFF)
"""How the files begin that we can read, to tell a damaged image from something else."""
FONT, FONT_WEIGHT = "sans", 400
"""OpenCV carries this font itself: pictures look the same on every machine."""


@dataclass(frozen=True, eq=False)
class Image:
    """An image as it should be seen, upright, with what its file said about it."""

    pixels: Pixels
    """(H,W,C), C 1 (grey), 3 (RGB) or 4 (RGB and straight alpha); uint8, uint16, or float32 nominally in [0,1]."""
    exif: bytes | None = None
    """The EXIF block from its byte-order mark on, orientation 1, thumbnail unlinked."""
    icc: bytes | None = None
    """The ICC profile, kept only where it describes these channels (RGB or grey)."""

    @property
    def colour(self) -> Pixels:
        """(H,W,1) or (H,W,3): the pixels without alpha."""
        return self.pixels[..., :3]

    @property
    def alpha(self) -> Pixels | None:
        """(H,W,1), or None where the image is opaque."""
        return self.pixels[..., 3:] if self.pixels.shape[-1] == 4 else None


def read(path: Path | str, largest: float | None = None) -> Image:
    """The image in a file: PNG, JPEG, TIFF, WebP, BMP, and whatever else this OpenCV decodes.

    Palettes and bits become 8-bit values, CMYK becomes RGB, grey with alpha becomes RGB with alpha; the orientation is
    applied, once. Raises DataError where the file is missing, empty, no image, damaged or cut short. Damage in the
    middle of a JPEG, WebP, BMP or TIFF that leaves a decodable stream cannot be noticed; PNG has checksums.

    largest: raises DataError, before decoding, where the header tells of more pixels. OpenCV has a limit of its own,
    2**30 pixels, which the environment variable OPENCV_IO_MAX_IMAGE_PIXELS moves.
    """
    path = Path(path)
    content = _content(path)
    if largest is not None:
        _refuse_larger(path, content, largest)
    pixels, blocks = _decoded(path, content)
    if content.startswith(TIFF):  # OpenCV turns a TIFF itself but hands over no metadata
        exif, icc = tags.from_tiff(content)
    else:
        exif, icc = blocks.get(cv2.IMAGE_METADATA_EXIF), blocks.get(cv2.IMAGE_METADATA_ICCP)
        exif = exif and exif.removeprefix(b"Exif\0\0")  # a prefix that only JPEG should have
        pixels = _turned(pixels, tags.orientation(exif) if exif else 1)
    exif = tags.upright(exif) if exif else None
    return Image(np.ascontiguousarray(pixels), exif, icc if _describes(icc, pixels) else None)


def read_rgb(path: Path | str) -> Pixels:
    """The image in a file as (H,W,3) uint8 or uint16: grey replicated, alpha dropped, floats clamped and made 16-bit.

    Raises DataError as `read` does.
    """
    colour = read(path).colour
    if colour.dtype == np.float32:
        colour = _converted(colour, np.uint16)
    return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else np.ascontiguousarray(colour)


def write(path: Path | str, image: Image, quality: int = 95) -> None:
    """Write an image in the format of the path's ending: .png .jpg .jpeg .tif .tiff .webp .bmp.

    Atomic: a reader sees the old file or the whole new one. `quality` 1..100 is JPEG's (chroma is not subsampled) and
    WebP's (100: lossless). A depth that the format does not hold is rounded to its best one; JPEG drops alpha; BMP
    holds no metadata. Raises DataError for another ending, for a size that the format cannot hold and for a failing
    disk; the old file then stays.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in DEPTHS:
        raise DataError(f"{path}: cannot write '{path.suffix}'; the endings are {' '.join(DEPTHS)}")
    content = _encoded(path, suffix, image, _parameters(suffix, quality, image.pixels.dtype))
    try:
        with whole(path) as part:
            part.write_bytes(content)
    except OSError as error:
        raise DataError(f"{path}: cannot write: {error.strerror}") from error


def encoded(image: Image, suffix: str, quality: int = 95) -> bytes:
    """The bytes that `write` would put into a file with an ending such as `.png`, for pages that carry pictures."""
    return _encoded(Path(f"picture{suffix}"), suffix, image, _parameters(suffix, quality, image.pixels.dtype))


def draw_text(pixels: NDArray[np.uint8], text: str, left: int, baseline: int, size: int, colour: Sequence[int]) -> None:
    """Write a line of text into pixels (H,W,3); `size` is the height of its letters with ascenders, in pixels."""
    cv2.putText(pixels, text, (left, baseline), tuple(colour), cv2.FontFace(FONT), size, FONT_WEIGHT)


def text_width(text: str, size: int) -> int:
    """How many pixels wide `draw_text` writes."""
    return cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace(FONT), size, FONT_WEIGHT)[2]


def to_tensor(pixels: Pixels) -> Tensor:
    """(H,W,C) uint8, uint16 or float32 -> (C,H,W) float32; integers are mapped to [0,1], floats stay as they are."""
    planes = np.array(pixels.transpose(2, 0, 1), order="C")  # a copy: pixels may be read-only
    if planes.dtype == np.float32:
        return torch.from_numpy(planes)
    return torch.from_numpy(planes).to(torch.float32).div_(float(np.iinfo(planes.dtype).max))


def to_pixels(x: Tensor, dtype: DTypeLike = np.uint8) -> Pixels:
    """(C,H,W) -> (H,W,C) of a dtype: integers clamp [0,1] and round halves up, float32 stays as it is."""
    planes = x.detach().cpu().permute(1, 2, 0).to(torch.float32).contiguous().numpy()
    return planes if np.dtype(dtype) == np.float32 else _converted(planes, dtype)


def to_uint8(x: Tensor) -> NDArray[np.uint8]:
    """(C,H,W) in [0,1] -> (H,W,C) uint8, clamped, halves rounded up."""
    return to_pixels(x, np.uint8)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    if not content:
        raise DataError(f"{path}: the file is empty")
    return content


def _refuse_larger(path: Path, content: bytes, largest: float) -> None:
    """Raises DataError where a file's header tells of more pixels than allowed: a small file may unpack to much."""
    size = headers.size(content)
    if size and size[0] * size[1] > largest:
        raise DataError(
            f"{path}: its header tells of {size[0]}x{size[1]} pixels, the limit is {largest / 1e6:g} million; "
            "raise it (--max-megapixels) if you trust the file"
        )


def _decoded(path: Path, content: bytes) -> tuple[Pixels, dict[int, bytes]]:
    """Pixels in our channel order and the metadata blocks by OpenCV's number."""
    if content.startswith(TIFF):
        content = tags.with_plain_alpha(content)
    try:
        with _silence():
            # From memory, not by name: only this decoder refuses a JPEG that was cut short instead of greying its end.
            raw, kinds, blocks = cv2.imdecodeWithMetadata(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{path}: cannot decode: {error.err}") from error
    if raw is None:
        raise DataError(_unreadable(path, content))
    if raw.dtype == np.float64:
        raw = raw.astype(np.float32)
    if raw.dtype not in (np.uint8, np.uint16, np.float32):
        raise DataError(f"{path}: values are {raw.dtype}; convert the image to 8 or 16 bits or to 32-bit floats")
    if raw.dtype == np.float32 and not np.isfinite(raw).all():
        raise DataError(f"{path}: has pixels that are NaN or infinite; set them to numbers first")
    swap = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    pixels = raw[..., None] if raw.ndim == 2 else cv2.cvtColor(raw, swap[raw.shape[2]])
    if content.startswith(TIFF):
        pixels = _of_tiff(path, content, pixels)
    return pixels, {int(kind): block.tobytes() for kind, block in zip(kinds, blocks, strict=True)}


def _of_tiff(path: Path, content: bytes, pixels: Pixels) -> Pixels:
    """What OpenCV makes of a TIFF's pixels, set right where that is not what they mean."""
    meaning, samples = tags.layout_of_tiff(content)
    if samples == 2:
        raise DataError(f"{path}: grey with alpha in a TIFF, whose alpha would be lost; convert it to PNG")
    if meaning == tags.WHITE_IS_ZERO and pixels.dtype == np.uint16:
        return np.iinfo(np.uint16).max - pixels
    return pixels[..., :3] if meaning == tags.CMYK else pixels


def _unreadable(path: Path, content: bytes) -> str:
    if content.startswith(SIGNATURES):
        return f"{path}: the image is damaged, cut short or of a rare kind; copy it again or convert it to PNG"
    return f"{path}: not an image that can be read; convert it to PNG, JPEG, TIFF, WebP or BMP"


def _turned(pixels: Pixels, turn: int) -> Pixels:
    """Pixels as they should be seen (EXIF 2.32, table 6: what row 0 and column 0 show)."""
    if turn in {5, 6, 7, 8}:
        pixels = pixels.transpose(1, 0, 2)
    if turn in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if turn in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return pixels


def _describes(icc: bytes | None, pixels: Pixels) -> bool:
    """Whether a profile is for these channels; that of a CMYK file is not, once its pixels are RGB."""
    return icc is not None and icc[16:20] == (b"GRAY" if pixels.shape[2] == 1 else b"RGB ")


def _parameters(suffix: str, quality: int, dtype: np.dtype[Any]) -> list[int]:
    if suffix in {".jpg", ".jpeg"}:
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        return [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    if suffix == ".webp":
        return [cv2.IMWRITE_WEBP_QUALITY, 101 if quality >= 100 else quality]  # above 100 OpenCV is lossless
    if suffix in {".tif", ".tiff"}:
        floats = dtype.kind == "f"
        predictor = cv2.IMWRITE_TIFF_PREDICTOR_FLOATINGPOINT if floats else cv2.IMWRITE_TIFF_PREDICTOR_HORIZONTAL
        compression = cv2.IMWRITE_TIFF_COMPRESSION_ADOBE_DEFLATE
        return [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    return []


def _encoded(path: Path, suffix: str, image: Image, parameters: list[int]) -> bytes:
    """The file's bytes; metadata that the format refuses (a block too long, say) is left out with a warning."""
    pixels = _fitted(image.pixels, suffix)
    exif = image.exif and tags.with_size(image.exif, pixels.shape[1], pixels.shape[0])
    icc = image.icc if _describes(image.icc, pixels) else None
    if suffix not in WITH_METADATA:
        content = _encode(suffix, pixels, {}, parameters)
        if content and suffix in {".tif", ".tiff"}:
            content = tags.into_tiff(content, exif, icc, alpha=pixels.shape[2] == 4)
    else:
        wanted = {cv2.IMAGE_METADATA_EXIF: exif, cv2.IMAGE_METADATA_ICCP: icc}
        blocks = {kind: block for kind, block in wanted.items() if block}
        content = _encode(suffix, pixels, blocks, parameters)
        if not content and blocks:
            content = _encode(suffix, pixels, {}, parameters)
            if content:
                logger.warning("%s: EXIF and ICC do not fit into this format and were left out", path)
    if not content:
        height, width = pixels.shape[:2]
        raise DataError(f"{path}: {suffix} cannot hold an image of {width}x{height} pixels; write .png or .tif")
    return content


def _encode(suffix: str, pixels: Pixels, blocks: dict[int, bytes], parameters: list[int]) -> bytes | None:
    """The file's bytes, or None where OpenCV fails."""
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    raw = pixels if pixels.shape[2] == 1 else cv2.cvtColor(pixels, swap[pixels.shape[2]])
    metadata = [np.frombuffer(block, np.uint8) for block in blocks.values()]
    try:
        with _silence():
            done, content = cv2.imencodeWithMetadata(suffix, raw, list(blocks), metadata, parameters)
    except cv2.error:
        return None
    return bytes(content) if done else None


def _fitted(pixels: Pixels, suffix: str) -> Pixels:
    """The pixels in a depth and with channels that the format holds."""
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(f"pixels must be (H,W,C) with C 1, 3 or 4, not {pixels.shape}")
    if suffix in {".jpg", ".jpeg"}:
        pixels = pixels[..., :3]
    depths = DEPTHS[suffix]
    fitted = pixels if pixels.dtype in depths else _converted(pixels, depths[-1])
    return np.ascontiguousarray(fitted)


def _converted(pixels: Pixels, dtype: DTypeLike) -> Pixels:
    """Pixels as another integer type, clamped and rounded, halves up."""
    largest = np.float32(np.iinfo(dtype).max)
    unit = pixels if pixels.dtype.kind == "f" else pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return (unit.clip(0, 1) * largest + np.float32(0.5)).astype(dtype)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep OpenCV's log off the terminal: we raise, in words."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
