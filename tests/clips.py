"""Small clips for tests: drawn frames, encoded by PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

Frames = Sequence[np.ndarray]


def drawn(count: int, height: int = 48, width: int = 64, step: int = 2) -> list[np.ndarray]:
    """Return frames (H,W,3) uint8: a bright square moves over a gradient, the rest does not change."""
    rows, columns = np.mgrid[:height, :width]
    background = np.stack([rows * 4 % 256, columns * 3 % 256, (rows + columns) * 2 % 256], 2).astype(np.uint8)
    frames = []
    for number in range(count):
        frame = background.copy()
        frame[4:12, 2 + step * number : 10 + step * number] = (250, 40, 40)
        frames.append(frame)
    return frames


def write(
    path: Path,
    frames: Frames,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: int = 25,
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    has_sound: bool = False,
    **settings: Any,
) -> Path:
    """Encode frames. times: milliseconds of each frame; settings: attributes of the codec context."""
    with av.open(str(path), "w") as file:
        video = file.add_stream(codec, rate=rate, options=options or {"crf": "10", "preset": "veryfast"})
        video.height, video.width, video.pix_fmt = *frames[0].shape[:2], pixel_format
        if times:
            video.codec_context.time_base = Fraction(1, 1000)
        for name, value in settings.items():
            setattr(video.codec_context, name, value)
        file.metadata["title"] = "A clip"
        sound = _sound(file) if has_sound else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.dtype == np.uint8 else "rgb48le")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if sound is not None:
            _play(file, sound, len(frames) / rate)
    return path


def write_with_subtitles(path: Path, frames: Frames) -> Path:
    """Encode frames at 10 fps to .mkv, with two subtitles, a font and two chapters."""
    milliseconds = Fraction(1, 1000)
    chapters = [(0, 500, "One"), (500, 1000, "Two")]
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=10)
        video.height, video.width, video.pix_fmt = *frames[0].shape[:2], "yuv420p"
        subtitles = file.add_mux_stream("subrip", time_base=milliseconds)
        subtitles.metadata["language"] = "fra"
        file.add_attachment("font.ttf", "application/x-truetype-font", b"no real font")
        file.set_chapters(
            [
                {"id": n, "start": start, "end": end, "time_base": milliseconds, "metadata": {"title": title}}
                for n, (start, end, title) in enumerate(chapters, start=1)
            ]
        )
        file.start_encoding()
        for time, text in ((100, b"Bonjour"), (600, b"Salut")):
            packet = av.Packet(text)
            packet.stream, packet.time_base, packet.duration = subtitles, milliseconds, 200
            packet.pts = packet.dts = time
            file.mux(packet)
        for pixels in frames:
            file.mux(video.encode(av.VideoFrame.from_ndarray(pixels)))
        file.mux(video.encode(None))
    return path


def subtitles(path: Path) -> list[tuple[Fraction, bytes]]:
    """Return time and text of every subtitle."""
    with av.open(str(path)) as file:
        return [(p.pts * p.time_base, bytes(p)) for p in file.demux(subtitles=0) if p.size]


def chapters(path: Path) -> list[tuple[Fraction, Fraction, str]]:
    """Return start, end and title of every chapter."""
    with av.open(str(path)) as file:
        return [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"]) for c in file.chapters()
        ]


def decoded(path: Path) -> list[Any]:
    """Decode all frames of a clip by PyAV."""
    with av.open(str(path)) as file:
        return list(file.decode(video=0))


def times(path: Path) -> list[Fraction]:
    """Return the presentation time of every frame, in seconds."""
    return [frame.pts * frame.time_base for frame in decoded(path)]


def sound(path: Path) -> list[tuple[Fraction, bytes]]:
    """Return time and bytes of every packet of the first audio stream."""
    with av.open(str(path)) as file:
        return [(p.pts * p.time_base, bytes(p)) for p in file.demux(audio=0) if p.pts is not None]


def _sound(file: Any) -> Any:
    stream = file.add_stream("aac", rate=44100, layout="mono")
    stream.metadata["language"] = "deu"
    return stream


def _play(file: Any, stream: Any, seconds: float) -> None:
    wave = (8000 * np.sin(np.arange(int(44100 * seconds)) * 0.06)).astype(np.int16)
    for start in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 44100, start
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))


def damage(path: Path, packets: Sequence[int]) -> None:
    """Overwrite most of some video packets in the file."""
    with av.open(str(path)) as file:
        places = [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in packets:
        position, size = places[number]
        for offset in range(position + size // 4, position + size - 4):
            data[offset] = (offset * 7 + 13) % 251
    path.write_bytes(data)
