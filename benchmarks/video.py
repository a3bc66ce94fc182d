"""Seconds of restoring clips with and without copying unchanged parts, compared with a loop of restore over frames.

    python benchmarks/video.py [WEIGHTS] [--frames 24] [--width 256] [--clips screen animation tripod handheld]
                               [--speed fast] [--runtime torch] [--threads N]
    python benchmarks/video.py --widths 128 192 256 320

Clips are drawn or made of sample photographs, at 16:9 and 24 fps, encoded by x264 (crf 18): `screen`, a window with
typed text and a pointer; `animation`, shapes that move every second frame over a painted background; `tripod`, a
photograph with the noise of a sensor in which one object moves; `handheld`, a photograph that shakes, with noise.
Every way decodes, restores and encodes the clip; `loop` restores PNG files of the frames one by one instead, without
decoding and encoding the clip. Prints for each clip and way: CPU seconds per frame (all threads, without loading the
network), wall seconds per frame, the share of tiles reused, the cost as a share of the base on whole frames, and the
PSNR of the frames against those of `off` (the least, in dB; `equal`: bit by bit).

--widths: instead measures each clip at several widths in one way, `--still` (off by default), prints the frames per
second, and the largest width that reaches `--fps` (25 by default). Needs an idle machine: wall seconds count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lowvision.commands import clip_one
from lowvision.commands.clip_request import Clip, ClipOptions
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.imaging import io
from lowvision.inference import restorer
from lowvision.inference.clip_restorer import ClipRestorer
from lowvision.inference.restorer import Restorer
from lowvision.models import pretrained
from lowvision.plugins import registry
from lowvision.routing.changes import Still
from lowvision.video import reader

RATE = 24
WAYS: tuple[Still, ...] = ("off", "exact", "visually")

Pixels = NDArray[np.uint8]


def main() -> None:
    arguments = parsed()
    known = registry.load()
    path = pretrained.find(arguments.weights, known)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    network = restorer.load(path, runtime=arguments.runtime, registry=known, device="cpu")
    options = RestoreOptions(speed=arguments.speed)
    print(f"{network.runtime}, {torch.get_num_threads()} threads, {arguments.frames} frames of each clip")
    print(f"{'clip':13} {'way':9} {'CPU s':>7} {'wall s':>7} {'fps':>6} {'reused':>7} {'cost':>6}  PSNR to off")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.clips:
            rates = {}
            for width in arguments.widths or [arguments.width]:
                clip = encoded(Path(folder, f"{name}.mkv"), CLIPS[name](width), arguments.frames)
                request = RestoreRequest(
                    patterns=(str(clip),), output=Path(folder, "out.mkv"), weights=path, options=options
                )
                ways = (arguments.still,) if arguments.widths else WAYS
                rates[width] = measure(f"{name} {width}", clip, network, request, ways)
            if arguments.widths:
                print(f"{name}, {arguments.still}: {reached(rates, arguments.fps)}", flush=True)


def reached(rates: dict[int, float], wanted: float) -> str:
    """Return the largest size that is restored at the wanted frames per second."""
    enough = [width for width, rate in rates.items() if rate >= wanted]
    if not enough:
        return f"no size reaches {wanted:g} fps"
    return f"{max(enough)}x{side_of(max(enough))} is the largest size that reaches {wanted:g} fps"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default="sr-disp-x4", type=Path)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--widths", type=int, nargs="+")
    parser.add_argument("--speed", default="fast")
    parser.add_argument("--runtime", default="torch")
    parser.add_argument("--clips", nargs="+", choices=CLIPS, help="default: all, with --widths handheld")
    parser.add_argument("--still", choices=WAYS, default="off", help="with --widths")
    parser.add_argument("--fps", type=float, default=25, help="with --widths")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    arguments.clips = arguments.clips or (["handheld"] if arguments.widths else list(CLIPS))
    return arguments


def measure(name: str, clip: Path, network: Restorer, request: RestoreRequest, ways: tuple[Still, ...]) -> float:
    """Print the rows of one clip; return the frames per second of the last one."""
    speed = request.options.speed
    frames = [frame.pixels for frame in reader.open_clip(clip).frames()]
    network.restore(frames[0], speed=speed)  # the first image of a size is slower
    if len(ways) > 1:
        cpu, wall = timed(lambda: loop(frames, network, request))
        print(row(name, "loop", cpu, wall, len(frames)), flush=True)
    plain = [network.restore(pixels, speed=speed).image for pixels in frames] if len(ways) > 1 else []
    for way in ways:
        entries: list[dict[str, Any]] = []

        def restore(way: Still = way, entries: list[dict[str, Any]] = entries) -> None:
            entries.append(clip_one.restore_clip(Clip(clip, request.output), network, request, ClipOptions(still=way)))

        cpu, wall = timed(restore)
        least = difference(frames, plain, ClipRestorer(network, still=way, speed=speed)) if plain else ""
        print(
            f"{row(name, way, cpu, wall, len(frames))} {entries[0]['share_reused']:7.0%} "
            f"{entries[0]['share_of_base']:6.1%}  {least}",
            flush=True,
        )
    return len(frames) / wall


def difference(frames: list[Pixels], plain: list[Pixels], copying: ClipRestorer) -> str:
    """Return the least PSNR of a frame in dB against that restored alone; `equal` if all are."""
    least = min(psnr(copying.restore(each).pixels, result) for each, result in zip(frames, plain, strict=True))
    return "equal" if least == np.inf else f"{least:.1f}"


def row(name: str, way: str, cpu: float, wall: float, frames: int) -> str:
    """Return the first columns of a row: seconds per frame, and frames per second."""
    return f"{name:13} {way:9} {cpu / frames:7.3f} {wall / frames:7.3f} {frames / wall:6.1f}"


def loop(frames: list[Pixels], network: Restorer, request: RestoreRequest) -> None:
    """Restore the frames as files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frame.png")
        for pixels in frames:
            io.write(path, io.Image(pixels))
            io.write(path, io.Image(network.restore(io.read(path).pixels, speed=request.options.speed).image))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def psnr(a: Pixels, b: Pixels) -> float:
    """Return the PSNR in dB; infinite for equal images."""
    error = np.square(a.astype(np.float64) - b).mean()
    return float(np.inf if error == 0 else 10 * np.log10(255**2 / error))


def screen(width: int) -> Iterator[Pixels]:
    """Yield frames of a screen: lines of text, the last of which grows, and a pointer that moves at times."""
    height = side_of(width)
    page = np.full((height, width, 3), 248, np.uint8)
    page[: height // 10] = (60, 70, 90)
    for line in range(4, 14):
        write(page, "the quick brown fox jumps over it"[: 12 + line * 5 % 20], line, height)
    number = 0
    while True:
        frame = page.copy()
        write(frame, "typed letter by letter"[: number // 3 % 22], 15, height)
        place = (width // 3 + (number // 12 % 2) * number % (width // 2), height // 2)
        cv2.circle(frame, place, max(2, height // 60), (30, 30, 30), -1, cv2.LINE_AA)
        yield frame
        number += 1


def write(page: Pixels, text: str, line: int, height: int) -> None:
    cv2.putText(
        page, text, (8, line * height // 17), cv2.FONT_HERSHEY_SIMPLEX, height / 500, (20, 20, 20), 1, cv2.LINE_AA
    )


def animation(width: int) -> Iterator[Pixels]:
    """Yield frames of an animation on twos: outlined shapes over a background of wide strokes."""
    height = side_of(width)
    background = cv2.GaussianBlur(photograph(width + 8), (0, 0), 6)[:height, :width]
    number = 0
    while True:
        frame, phase = background.copy(), number // 2
        for shape, colour in enumerate(((240, 200, 60), (80, 160, 230))):
            centre = (width // 3 + shape * width // 3, int(height / 2 + height / 6 * np.sin(phase / 2 + shape)))
            cv2.circle(frame, centre, height // 8, colour, -1, cv2.LINE_AA)
            cv2.circle(frame, centre, height // 8, (20, 20, 20), 2, cv2.LINE_AA)
        yield frame
        number += 1


def tripod(width: int) -> Iterator[Pixels]:
    """Yield frames of a still camera: a photograph, an object that crosses it, and noise."""
    height, generator = side_of(width), np.random.default_rng(0)
    background = photograph(width + 8)[:height, :width]
    number = 0
    while True:
        frame = background.copy()
        cv2.circle(frame, (number * width // 100, height * 3 // 4), height // 10, (200, 60, 50), -1, cv2.LINE_AA)
        yield noisy(frame, generator)
        number += 1


def handheld(width: int) -> Iterator[Pixels]:
    """Yield frames of a shaking camera: a photograph moved by fractions of a pixel, and noise."""
    height, generator = side_of(width), np.random.default_rng(0)
    picture = photograph(width + 40)
    place = np.array([16.0, 16.0])
    while True:
        place = np.clip(place + generator.normal(0, 0.8, 2), 2, 36)
        moved = np.float32([[1, 0, -place[0]], [0, 1, -place[1]]])  # type: ignore[arg-type]
        yield noisy(cv2.warpAffine(picture, moved, (width, height), flags=cv2.INTER_CUBIC), generator)


def noisy(frame: Pixels, generator: np.random.Generator) -> Pixels:
    """Add the noise of a sensor, sigma 2."""
    return np.clip(np.rint(frame + generator.normal(0, 2, frame.shape)), 0, 255).astype(np.uint8)


def photograph(width: int) -> Pixels:
    """Return a sample photograph of at least that width and its height of 16:9, with 40 more rows."""
    photo = next(iter(registry.load().find("datasets", "samples_test").component().photos()))
    pixels = io.read_rgb(photo.gt)
    scale = max(width / pixels.shape[1], (side_of(width) + 40) / pixels.shape[0])
    size = (int(np.ceil(pixels.shape[1] * scale)), int(np.ceil(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def side_of(width: int) -> int:
    """Return the height of 16:9, even for the codec."""
    return width * 9 // 32 * 2


CLIPS: dict[str, Callable[[int], Iterator[Pixels]]] = {
    make.__name__: make for make in (screen, animation, tripod, handheld)
}


def encoded(path: Path, frames: Iterator[Pixels], count: int) -> Path:
    """Write the first frames to a clip."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "medium"})
        for number, pixels in zip(range(count), frames, strict=False):
            if not number:
                stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        file.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
