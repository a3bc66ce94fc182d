"""The image file formats that lowvision reads and writes; imports no image library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Depth = Literal["uint8", "uint16", "float32"]
Frames = Literal["none", "animation", "pages"]


@dataclass(frozen=True)
class ImageFormat:
    """One image file format."""

    name: str
    suffixes: tuple[str, ...]
    """File name suffixes, in lower case."""
    signatures: tuple[bytes, ...]
    """The bytes of a file at `offset`; one of them."""
    depths: tuple[Depth, ...] = ("uint8",)
    """NumPy dtypes of the pixels that a written file can hold, the best one last; empty: the format is only read."""
    frames: Frames = "none"
    """The kind of several images that a written file can hold."""
    longest_side: int | None = None
    """Largest width and height of a written file in pixels; None: more than memory holds."""
    offset: int = 0
    """Offset of the signature."""
    replacement: str = ".png"
    """Suffix of the results of a format that is only read."""

    def matches(self, content: bytes) -> bool:
        """Return True if a file with this content is of this format."""
        return content.startswith(self.signatures, self.offset)


PNG = ImageFormat("PNG", (".png", ".apng"), (b"\x89PNG",), ("uint8", "uint16"), "animation", 2**31 - 1)
JPEG = ImageFormat(
    "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), (b"\xff\xd8\xff",), frames="pages", longest_side=65500
)
TIFF = ImageFormat(
    "TIFF",
    (".tif", ".tiff", ".btf", ".tf8"),
    (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ("uint8", "uint16", "float32"),
    "pages",
)
WEBP = ImageFormat("WebP", (".webp",), (b"WEBP",), frames="animation", longest_side=16383, offset=8)
BMP = ImageFormat("BMP", (".bmp", ".dib"), (b"BM",), longest_side=2**31 - 1)
GIF = ImageFormat("GIF", (".gif",), (b"GIF87a", b"GIF89a"), ())
AVIF = ImageFormat("AVIF", (".avif", ".avifs"), (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1"), (), offset=4)
JPEG2000 = ImageFormat(
    "JPEG 2000",
    (".jp2", ".j2k", ".jpx", ".jpf", ".j2c"),
    (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
    (),
)
PNM = ImageFormat("PNM", (".ppm", ".pgm", ".pbm", ".pnm"), (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"), ())
HDR = ImageFormat("Radiance HDR", (".hdr", ".pic"), (b"#?RADIANCE", b"#?RGBE"), (), replacement=".tif")
PFM = ImageFormat("PFM", (".pfm",), (b"PF\n", b"Pf\n"), (), replacement=".tif")

FORMATS = (PNG, JPEG, TIFF, WEBP, BMP, GIF, AVIF, JPEG2000, PNM, HDR, PFM)
BY_SUFFIX = {suffix: image_format for image_format in FORMATS for suffix in image_format.suffixes}
SUFFIXES = tuple(BY_SUFFIX)
"""Suffixes of all image files that are read, in lower case."""
WRITABLE = tuple(suffix for suffix, image_format in BY_SUFFIX.items() if image_format.depths)
"""Suffixes of all image files that are written, in lower case."""
NOT_READ = frozenset(
    f".{name}"
    for names in (
        ("heic", "heif", "jxl", "exr", "psd", "psb", "xcf", "ico", "cur", "tga", "dds", "svg", "eps", "pcx", "ras"),
        ("sgi", "cr2", "cr3", "nef", "arw", "dng", "raf", "orf", "rw2", "wdp", "jxr", "qoi", "fits", "pam"),
    )
    for name in names
)
"""Suffixes of image files that are not read; a search of folders counts them."""


def of_content(content: bytes) -> ImageFormat | None:
    """Return the format of a file by its first bytes; None if it is unknown."""
    return next((image_format for image_format in FORMATS if image_format.matches(content)), None)
