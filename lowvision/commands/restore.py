"""Implement `lowvision restore`: restore every input, go on after a failed one, and report all of them."""

from __future__ import annotations

import functools
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lowvision.commands import inputs as input_files
from lowvision.commands.inputs import Input
from lowvision.errors import LowvisionError, UsageError, summary_of
from lowvision.imaging import alpha, encoders, io
from lowvision.imaging.formats import JPEG
from lowvision.imaging.image import Frames, Image, Pixels
from lowvision.imaging.resize import resize
from lowvision.imaging.target_size import TargetSize
from lowvision.inference import package, restorer, trained_networks
from lowvision.inference.restorer import Restored, Restorer
from lowvision.models.calibration import Speed
from lowvision.plugins.contracts import Precision
from lowvision.plugins.registry import Registry
from lowvision.system.printable import printable
from lowvision.system.processes import ProcessGroup, join
from lowvision.system.progress import Progress, telling

logger = logging.getLogger("lowvision")

OWN_SIZE = TargetSize()
"""The size that the network gives."""
SCHEMA = 1
"""Version of the document; incremented on incompatible changes."""
MOST_NAMED = 5
"""Kinds of ignored files that the text names."""


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """Options of restoring and writing images."""

    budget: float | None = None
    """Share of the base's cost to spend at most; None: no limit."""
    max_loss: float | None = None
    """PSNR in dB to lose at most, by the curve of the weights; None: no limit. Excludes a budget."""
    worst: float | None = None
    """PSNR in dB that all but one percent of the tiles may lose, by the curve; None: no limit. Excludes a budget."""
    speed: Speed | None = None
    """Name of a point on the curve; excludes a budget and a loss. None: `balanced` if the weights have a curve."""
    quality: int = 95
    """Quality of JPEG and WebP, 1..100."""
    strips_metadata: bool = False
    """Leave out EXIF, ICC and all other metadata."""
    keeps_times: bool = False
    """Give results the modification times of their inputs."""
    only_first_frame: bool = False
    """Restore only the first frame of animations and the first page of documents."""
    restores_alpha: bool = False
    """Restore alpha by the network; otherwise resample it."""
    background: tuple[int, int, int] = (255, 255, 255)
    """Colour behind transparent pixels in JPEG, 0..255 per channel."""
    size: TargetSize = OWN_SIZE
    """Size of the results; the network's own by default."""
    passes: int = 1
    """Number of times that the network is applied."""
    draws_maps: bool = False
    """Write a route map next to each result."""
    skips_existing: bool = False
    """Skip inputs whose result exists."""
    largest: float | None = None
    """Largest number of pixels of an input; None: no limit."""


@dataclass(frozen=True, kw_only=True)
class RestoreRequest:
    """Arguments of the command."""

    patterns: tuple[str, ...]
    """Files, folders and patterns of the inputs."""
    output: Path
    suffix: str | None = None
    """File name ending of the results, e.g. `.png`; None: that of each input."""
    name_suffix: str = ""
    """Text before the ending of the results' names, e.g. `_x4`."""
    weights: Path
    """Weights file, or folder of an exported package."""
    options: RestoreOptions = RestoreOptions()
    device: str = "auto"
    runtime: str | Mapping[str, Any] = "auto"
    """Name, or name with options."""
    precision: Precision = "f32"

    def plan(self, ignored: Counter[str] | None = None) -> tuple[Input, ...]:
        """Find the inputs and the paths of their results; count the other files by suffix. Raises UsageError."""
        maps = self.options.draws_maps
        return input_files.plan(self.patterns, self.output, self.suffix, maps, self.name_suffix, ignored)


@dataclass(frozen=True)
class Done:
    """An input that was restored."""

    source: Input
    height: int
    """Height of the input."""
    width: int
    """Width of the input."""
    tiles: tuple[int, ...]
    """Number of tiles per branch."""
    cost: int
    """Multiply-adds."""
    base_cost: int
    """Multiply-adds of the base on the whole image."""
    seconds: float
    """Time of restoring, without reading and writing."""
    result_height: int
    result_width: int
    frames: int = 1
    """Number of frames or pages."""


@dataclass(frozen=True)
class Skipped:
    """An input whose result existed."""

    source: Input


@dataclass(frozen=True)
class Failed:
    """An input that could not be restored, or whose result could not be written."""

    source: Input
    reason: str


Outcome = Done | Skipped | Failed


def validate(request: RestoreRequest, registry: Registry) -> None:
    """Check weights, inputs and output without restoring. Raises WeightsError and UsageError."""
    read = package.read if request.weights.is_dir() else trained_networks.read
    read(request.weights, registry)
    request.plan()
    check_writable(request.output)


def run(request: RestoreRequest, registry: Registry) -> dict[str, Any] | None:
    """Restore the inputs, together with the other processes of the group if there are any.

    Return the document in the main process, None in the others. Raises UsageError, WeightsError and RunError before
    the first input; later failures are in the document.
    """
    group = join(request.device)
    ignored: Counter[str] = Counter()
    planned = request.plan(ignored)
    began = time.perf_counter()  # the document's time includes loading
    network = restorer.load(
        request.weights,
        device=request.device,
        runtime=request.runtime,
        registry=registry,
        precision=request.precision,
    )
    group.wait()  # the results that a process writes would be inputs to one that is still searching for them
    check_writable(request.output)
    document = restore(planned, network, request.options, registry, group, began)
    document["ignored"] = dict(ignored.most_common())
    return document if group.is_main_process else None


def restore(
    inputs: Sequence[Input],
    network: Restorer,
    options: RestoreOptions,
    registry: Registry,
    group: ProcessGroup,
    began: float | None = None,
) -> dict[str, Any]:
    """Restore this process's share of the inputs and return the document of all processes.

    began: `time.perf_counter()` at the start of the measured time; None: now.
    Raises UsageError for a budget or a loss that the weights cannot keep; a failed input is in the document.
    """
    began = time.perf_counter() if began is None else began
    limits = (options.budget, options.max_loss, options.speed, options.worst)
    network.check_budget(*limits)
    if group.is_main_process and network.settings and any(limit is not None for limit in limits):
        logger.info("adaptive network with a budget or a loss: PyTorch runs it in float32, tile by tile")
    share = group.shard(inputs)
    with telling(len(share), group.is_main_process) as progress:
        outcomes = [_outcome(source, network, options, progress) for source in share]
    return _document(group.gather(outcomes), network, registry, options, time.perf_counter() - began)


def check_writable(output: Path) -> None:
    """Create the output folder. Raises UsageError if it cannot be written."""
    folder = output.parent if output.suffix.lower() in io.DEPTHS and not output.is_dir() else output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{folder}: cannot write there: {error.strerror}; give another -o") from error


def text(document: dict[str, Any]) -> str:
    """Format the document: one line of totals, and a line per failure."""
    total = document["total"]
    lines = [f"{total['restored']} restored, {total['skipped']} skipped, {total['failed']} failed"]
    if total["restored"]:
        shares = " / ".join(f"{share:.0%}" for share in total["shares"])
        lines[0] += f"; branches {shares}; cost {total['share_of_base']:.0%} of the base on whole images"
    lines[0] += f"; {total['seconds']:.1f} s"
    if ignored := document.get("ignored"):
        names = ", ".join(f"{count} {printable(name)}" for name, count in list(ignored.items())[:MOST_NAMED])
        more = ", ..." if len(ignored) > MOST_NAMED else ""
        lines.append(f"{sum(ignored.values())} other files in the folders were ignored: {names}{more}")
    lines += [f"failed: {printable(failed['input'])}: {printable(failed['reason'])}" for failed in document["failed"]]
    return "\n".join(lines)


def _outcome(source: Input, network: Restorer, options: RestoreOptions, progress: Progress) -> Outcome:
    """Restore one input and report its progress."""
    name = printable(source.path)
    progress.begin(name)
    if options.skips_existing and all(_is_complete(target) for target in _targets(source, options)):
        progress.end(f"{name}: skipped, its result exists")
        return Skipped(source)
    try:
        done = _restored(source, network, options, progress)
    except Exception as error:  # a failed input must not stop the others
        reason = _reason(error, source.path)
        progress.end(f"{name}: failed: {printable(reason)}")
        return Failed(source, reason)
    sizes = f"{done.width}x{done.height} -> {done.result_width}x{done.result_height}"
    if done.frames > 1:
        sizes += f", {done.frames} frames"
    spent = f"{done.cost / done.base_cost:.0%} of the base, {done.seconds:.2f} s"
    if options.budget and done.cost > options.budget * done.base_cost:
        reason = "the setting was calibrated on other tiles" if network.settings else "no cheaper route exists"
        spent += f"; over the budget of {options.budget:.0%}: {reason}"
    progress.end(f"{name} -> {printable(source.result)}: {sizes}, {spent}")
    return done


def _restored(source: Input, network: Restorer, options: RestoreOptions, progress: Progress) -> Done:
    frames = _frames(source, options)
    encoders.check_frames(source.result, frames)
    height, width = frames.images[0].pixels.shape[:2]
    for image in frames.images:  # before the work, not after it
        encoders.check_size(source.result, *_result_size(image, network, options))
    if source.result.suffix.lower() in JPEG.suffixes and any(image.alpha is not None for image in frames.images):
        _say_composited()
    source.result.parent.mkdir(parents=True, exist_ok=True)
    results, parts = [], []
    for image in frames.images:
        pixels, part = _restored_pixels(image, network, options, progress)
        kept = Image(pixels, is_lossless_webp=image.is_lossless_webp) if options.strips_metadata else image
        results.append(replace(kept, pixels=pixels))
        parts.append(part)
    if options.draws_maps:  # before the result: if the result exists, its map does too
        io.write(source.map, Image(network.route_map(frames.images[0].pixels, parts[0])))
    io.write_frames(source.result, replace(frames, images=results), options.quality, options.background)
    if options.keeps_times:
        facts = source.path.stat()
        os.utime(source.result, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    tiles = tuple(sum(counts) for counts in zip(*(part.tiles for part in parts), strict=True))
    cost, base_cost = sum(part.cost for part in parts), sum(part.base_cost for part in parts)
    seconds = sum(part.seconds for part in parts)
    result = results[0].pixels.shape
    return Done(source, height, width, tiles, cost, base_cost, seconds, result[0], result[1], len(results))


def _frames(source: Input, options: RestoreOptions) -> Frames:
    if options.only_first_frame:
        return Frames((io.read(source.path, options.largest),))
    return io.read_frames(source.path, options.largest)


def _result_size(image: Image, network: Restorer, options: RestoreOptions) -> tuple[int, int]:
    """Return height and width of a result."""
    height, width = image.pixels.shape[:2]
    return options.size.of(height, width, network.scale**options.passes)


def _restored_pixels(
    image: Image, network: Restorer, options: RestoreOptions, progress: Progress
) -> tuple[Pixels, Restored[Pixels]]:
    """Return the pixels of the result, resized if another size is asked for, and the sums of all passes."""
    pixels, passed = image.pixels, []
    for _ in range(options.passes):
        restored = network.restore(
            pixels,
            budget=options.budget,
            progress=progress.move,
            max_loss=options.max_loss,
            speed=options.speed,
            worst=options.worst,
            restores_alpha=options.restores_alpha,
        )
        pixels = restored.image
        passed.append(restored)
    size = _result_size(image, network, options)
    if pixels.shape[:2] != size:
        pixels = _resized(pixels, size)
    return pixels, replace(
        passed[0],
        tiles=tuple(sum(counts) for counts in zip(*(one.tiles for one in passed), strict=True)),
        cost=sum(one.cost for one in passed),
        base_cost=sum(one.base_cost for one in passed),
        seconds=sum(one.seconds for one in passed),
    )


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return pixels at another size, bicubically with antialiasing; hidden colour does not leak."""
    x = io.to_tensor(alpha.bled(pixels) if pixels.shape[2] == 4 else pixels)
    return io.to_pixels(resize(x, size), pixels.dtype)


@functools.cache
def _say_composited() -> None:
    """Log once that transparent pixels get a background."""
    logger.info("JPEG has no transparency: transparent pixels are set over the colour of --background")


def _targets(source: Input, options: RestoreOptions) -> tuple[Path, ...]:
    return (source.result, source.map) if options.draws_maps else (source.result,)


def _reason(error: Exception, path: Path) -> str:
    """Return the reason of a failure in one line, without the name of the input."""
    if isinstance(error, LowvisionError):
        return str(error).removeprefix(f"{path}: ")
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return summary_of(error)


def _document(
    outcomes: Sequence[Outcome], network: Restorer, registry: Registry, options: RestoreOptions, seconds: float
) -> dict[str, Any]:
    """Build the JSON document of all outcomes; keys and units are those of reports."""
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    total: dict[str, Any] = {"restored": len(done), "skipped": len(skipped), "failed": len(failed)}
    if done:
        tiles = tuple(sum(counts) for counts in zip(*(outcome.tiles for outcome in done), strict=True))
        total |= _costs(tiles, sum(outcome.cost for outcome in done), sum(outcome.base_cost for outcome in done))
    return {
        "schema": SCHEMA,
        "task": registry.serialize(network.architecture.task),
        "images": [_image(outcome, options) for outcome in done],
        "skipped": [str(outcome.source.path) for outcome in skipped],
        "failed": [{"input": str(outcome.source.path), "reason": outcome.reason} for outcome in failed],
        "total": {**total, "seconds": seconds},
    }


def _image(outcome: Done, options: RestoreOptions) -> dict[str, Any]:
    return {
        "input": str(outcome.source.path),
        "result": str(outcome.source.result),
        **({"map": str(outcome.source.map)} if options.draws_maps else {}),
        "height": outcome.height,
        "width": outcome.width,
        "frames": outcome.frames,
        **_costs(outcome.tiles, outcome.cost, outcome.base_cost),
        "seconds": outcome.seconds,
    }


def _costs(tiles: Sequence[int], cost: int, base_cost: int) -> dict[str, Any]:
    return {
        "shares": [count / sum(tiles) for count in tiles],
        "gmac": cost / 1e9,
        "gmac_of_base": base_cost / 1e9,
        "share_of_base": cost / base_cost,
    }


def _is_complete(target: Path) -> bool:
    """Return False for a missing result, and for an empty one, which a full disk or another program leaves."""
    return target.is_file() and target.stat().st_size > 0
