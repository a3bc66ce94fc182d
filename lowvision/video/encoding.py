"""Encode restored frames: the codecs, their defaults, and the pixel format of a result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from lowvision.errors import UsageError, message_of
from lowvision.video.colour import Tags
from lowvision.video.library import pyav
from lowvision.video.reader import Facts


@dataclass(frozen=True)
class Codec:
    """An encoder of FFmpeg and its defaults."""

    encoder: str
    crf: int | None = None
    """Constant quality, smaller is better; None: the codec has no such option."""
    most: int = 0
    """Largest value of `crf`."""
    preset: str | None = None
    """Compromise of speed and size; None: the codec has no such option."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Options that are always set."""
    tag: str | None = None
    """Four letters of the codec in MP4 and QuickTime, if FFmpeg's default plays in fewer players."""


CODECS = {
    "h264": Codec("libx264", 17, 51, "medium"),
    "hevc": Codec("libx265", 20, 51, "medium", {"x265-params": "log-level=error"}, tag="hvc1"),
    "av1": Codec("libsvtav1", 24, 63, "8"),
    "vp9": Codec("libvpx-vp9", 24, 63, fixed={"b": "0", "row-mt": "1", "deadline": "good", "cpu-used": "4"}),
    "prores": Codec("prores_ks", fixed={"profile": "3"}),
    "ffv1": Codec("ffv1", fixed={"level": "3"}),
}
"""Codecs by the name of `--codec`. The qualities look lossless: a restored clip must not lose its detail again."""
FOR_WEBM = "av1"
QUICKTIME = (".mp4", ".m4v", ".mov", ".3gp")
FORMATS = {".mkv": "matroska", ".ts": "mpegts", ".m2ts": "mpegts", ".mts": "mpegts", ".m4v": "mp4"}
"""FFmpeg's names of the formats that are not called like their ending."""
GLOBAL_HEADER = 0x40
"""Flag of formats that store the parameters of the encoder once (AVFMT_GLOBALHEADER)."""


@dataclass(frozen=True)
class Encoding:
    """Encoder settings of a result."""

    codec: str
    """A key of `CODECS`."""
    crf: int | None
    preset: str | None

    @property
    def options(self) -> dict[str, str]:
        """Options of the encoder."""
        options = dict(CODECS[self.codec].fixed)
        if self.crf is not None:
            options["crf"] = str(self.crf)
        if self.preset is not None:
            options["preset"] = self.preset
        return options


def encoding(suffix: str, codec: str | None, crf: int | None, preset: str | None) -> Encoding:
    """Return the encoding for a result with that ending; None: the default. Raises UsageError."""
    name = codec or (FOR_WEBM if suffix.lower() == ".webm" else "h264")
    defaults = CODECS[name]
    if crf is not None and defaults.crf is None:
        raise UsageError(f"--crf {crf}: codec {name} has no such option; omit it, or take --codec h264")
    if crf is not None and not 0 <= crf <= defaults.most:
        raise UsageError(f"--crf {crf}: must be between 0 and {defaults.most} for codec {name}")
    if preset is not None and defaults.preset is None:
        raise UsageError(f"--preset {preset}: codec {name} has no such option; omit it, or take --codec h264")
    return Encoding(name, defaults.crf if crf is None else crf, preset or defaults.preset)


@dataclass(frozen=True)
class Target:
    """The video stream of a result."""

    encoding: Encoding
    height: int
    width: int
    time_base: Fraction
    rate: Fraction
    tags: Tags
    pixel_format: str
    pixel_aspect: Fraction | None
    display_matrix: tuple[int, ...] | None
    tag: str | None
    has_global_header: bool
    """The format stores the parameters of the encoder once, not with every keyframe."""

    def configure(self, context: Any) -> None:
        """Set a codec context that is not open yet."""
        context.width, context.height, context.pix_fmt = self.width, self.height, self.pixel_format
        context.time_base, context.framerate = self.time_base, self.rate
        context.colorspace, context.color_range = self.tags.matrix, self.tags.range
        context.color_primaries, context.color_trc = self.tags.primaries, self.tags.transfer
        if self.pixel_aspect:
            context.sample_aspect_ratio = self.pixel_aspect
        if self.tag:
            context.codec_tag = self.tag
        context.options = self.encoding.options

    def open(self) -> Any:
        """Return an open encoder. Raises UsageError if FFmpeg refuses the settings."""
        av = pyav()
        context = av.CodecContext.create(CODECS[self.encoding.codec].encoder, "w")
        self.configure(context)
        if self.has_global_header:
            context.flags |= av.codec.context.Flags.global_header
        try:
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise UsageError(
                f"--codec {self.encoding.codec}: the encoder refuses {self.width}x{self.height} pixels with options "
                f"{self.encoding.options}: {message_of(error)}; change --codec, --crf or --preset"
            ) from None
        return context


def target(facts: Facts, encoding: Encoding, height: int, width: int, suffix: str) -> Target:
    """Return the video stream of a result of that size for a clip with these facts."""
    defaults = CODECS[encoding.codec]
    scale = height / facts.height
    matrix = facts.display_matrix
    return Target(
        encoding,
        height,
        width,
        facts.time_base,
        facts.rate,
        facts.tags,
        pixel_format(facts, encoding.codec, height, width),
        facts.pixel_aspect,
        # The last row is a shift in pixels (16.16), the other entries have no unit.
        matrix and (*matrix[:6], round(matrix[6] * scale), round(matrix[7] * scale), matrix[8]),
        defaults.tag if suffix.lower() in QUICKTIME else None,
        bool(container_of(suffix).flags & GLOBAL_HEADER),
    )


def container_of(suffix: str) -> Any:
    """Return FFmpeg's format for results with that ending. Raises UsageError."""
    name = FORMATS.get(suffix.lower(), suffix.lower()[1:])
    try:
        return pyav().format.ContainerFormat(name, "w")
    except ValueError:
        raise UsageError(
            f"'{suffix}': FFmpeg cannot write such files; give a result that ends in .mp4 or .mkv"
        ) from None


def pixel_format(facts: Facts, codec: str, height: int, width: int) -> str:
    """Return the YUV format of a result: depth and chroma of the clip if the codec has them.

    Chroma of half the size needs even sides; a result with an odd side gets full chroma.
    """
    formats = {each.name for each in pyav().Codec(CODECS[codec].encoder, "w").video_formats}
    depth = "10le" if facts.bits > 8 else ""
    chroma = next((each for each in ("420", "422", "444") if each in facts.pixel_format), "420")
    if height % 2 or width % 2:
        chroma = "444"
    candidates = [f"yuv{chroma}p{depth}", f"yuv420p{depth}", f"yuv422p{depth}", "yuv422p10le", "yuv420p"]
    return next(name for name in candidates if name in formats)
