"""Restore one input of `lowvision restore`: read, restore every frame, resize and write."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from lowvision.commands.inputs import Input
from lowvision.commands.restore_outcomes import Done, Failed, Outcome, Skipped
from lowvision.commands.restore_request import RestoreOptions
from lowvision.errors import DataError, LowvisionError, summary_of
from lowvision.imaging import alpha, encoders, io
from lowvision.imaging.formats import JPEG
from lowvision.imaging.image import Frames, Image, Pixels
from lowvision.imaging.resize import resize
from lowvision.inference.restorer import Restored, Restorer
from lowvision.system import file_names
from lowvision.system.locations import Location
from lowvision.system.out_of_memory import is_out_of_memory
from lowvision.system.printable import printable
from lowvision.system.progress import Progress

logger = logging.getLogger("lowvision")
Step = TypeVar("Step")


@dataclass(frozen=True)
class Computed:
    """The result of an input, not yet written."""

    frames: Frames
    map: Image | None
    """The route map; None: none is drawn."""
    done: Done


def outcome_of(source: Input, network: Restorer, options: RestoreOptions, progress: Progress) -> Outcome:
    """Restore one input and report its progress."""
    progress.begin(printable(source.names[0]))
    frames = opened(source, network, options)
    result = computed(source, frames, network, options, progress) if isinstance(frames, Frames) else frames
    outcome = written(source, result, options) if isinstance(result, Computed) else result
    progress.end(line_of(outcome, network, options))
    return outcome


def restored(source: Input, network: Restorer, options: RestoreOptions, progress: Progress) -> Done:
    """Restore one input and write its result."""
    result = _computed(source, _checked_frames(source, network, options), network, options, progress)
    _write(source, result, options)
    return result.done


def opened(source: Input, network: Restorer, options: RestoreOptions) -> Frames | Skipped | Failed:
    """Read an input, unless its result exists and may stay."""
    if options.skips_existing and all(_is_complete(target) for target in source.targets(options.draws_maps)):
        return Skipped(source)
    return _attempt(source, lambda: _checked_frames(source, network, options))


def computed(
    source: Input, frames: Frames, network: Restorer, options: RestoreOptions, progress: Progress
) -> Computed | Failed:
    """Run the network on all frames of an input."""
    return _attempt(source, lambda: _computed(source, frames, network, options, progress))


def written(source: Input, result: Computed, options: RestoreOptions) -> Done | Failed:
    """Write the result of an input."""

    def write() -> Done:
        _write(source, result, options)
        return result.done

    return _attempt(source, write)


def line_of(outcome: Outcome, network: Restorer, options: RestoreOptions) -> str:
    """Return the line that reports an outcome."""
    name = printable(outcome.source.names[0])
    if isinstance(outcome, Skipped):
        return f"{name}: skipped, its result exists"
    if isinstance(outcome, Failed):
        return f"{name}: failed: {printable(outcome.reason)}"
    done = outcome
    sizes = f"{done.width}x{done.height} -> {done.result_width}x{done.result_height}"
    if done.frames > 1:
        sizes += f", {done.frames} frames"
    spent = f"{done.cost / done.base_cost:.0%} of the base, {done.seconds:.2f} s"
    if options.budget and done.cost > options.budget * done.base_cost:
        reason = "the setting was calibrated on other tiles" if network.settings else "no cheaper route exists"
        spent += f"; over the budget of {options.budget:.0%}: {reason}"
    return f"{name} -> {printable(done.source.names[1])}: {sizes}, {spent}"


def _attempt(source: Input, work: Callable[[], Step]) -> Step | Failed:
    """Return the result of a step; a failed input must not stop the others."""
    try:
        return work()
    except Exception as error:  # a plugin's runtime may raise anything
        logger.debug("%s", source.names[0], exc_info=True)  # `--debug` shows it
        return Failed(source, _reason(error, source))


def _checked_frames(source: Input, network: Restorer, options: RestoreOptions) -> Frames:
    """Read the frames of an input, and check everything about its result before the work."""
    for target in (source.result, source.map) if options.draws_maps else (source.result,):
        if issue := file_names.too_long(target):
            raise DataError(f"{issue}; give a shorter --suffix, or rename the input")
    frames = _frames(source, options)
    encoders.check_frames(source.result, frames)
    _check_passes(frames, network, options)
    for image in frames.images:
        encoders.check_size(source.result, *_result_size(image, network, options))
    if source.result.suffix.lower() in JPEG.suffixes and any(image.alpha is not None for image in frames.images):
        _say_composited()
    if source.target is None:
        source.result.parent.mkdir(parents=True, exist_ok=True)
    return frames


def _computed(
    source: Input, frames: Frames, network: Restorer, options: RestoreOptions, progress: Progress
) -> Computed:
    height, width = frames.images[0].pixels.shape[:2]
    results, parts = [], []
    for image in frames.images:
        pixels, part = _restored_pixels(image, network, options, progress)
        kept = Image(pixels, is_lossless_webp=image.is_lossless_webp) if options.strips_metadata else image
        results.append(replace(kept, pixels=pixels))
        parts.append(part)
    route_map = Image(network.route_map(frames.images[0].pixels, parts[0])) if options.draws_maps else None
    tiles = tuple(sum(counts) for counts in zip(*(part.tiles for part in parts), strict=True))
    cost, base_cost = sum(part.cost for part in parts), sum(part.base_cost for part in parts)
    seconds = sum(part.seconds for part in parts)
    result = results[0].pixels.shape
    done = Done(source, height, width, tiles, cost, base_cost, seconds, result[0], result[1], len(results))
    return Computed(replace(frames, images=results), route_map, done)


def _write(source: Input, result: Computed, options: RestoreOptions) -> None:
    with source.local_results(has_map=result.map is not None) as local:
        if result.map is not None:  # before the result: if the result exists, its map does too
            io.write(local.map, result.map)
        io.write_frames(local.result, result.frames, options.quality, options.background)
    keep_times(source, options)


def keep_times(source: Input, options: RestoreOptions) -> None:
    """Give a result the modification time of its input, if requested."""
    if options.keeps_times:
        facts = source.path.stat()
        os.utime(source.result, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _frames(source: Input, options: RestoreOptions) -> Frames:
    with source.image() as path:
        if options.only_first_frame:
            return Frames((io.read(path, options.largest),))
        return io.read_frames(path, options.largest)


def _check_passes(frames: Frames, network: Restorer, options: RestoreOptions) -> None:
    """Raise DataError if the input of the last pass has more pixels than an input may have."""
    pixels = sum(image.pixels.shape[0] * image.pixels.shape[1] for image in frames.images)
    last = pixels * network.scale ** (2 * (options.passes - 1))
    if options.largest is not None and last > options.largest:
        raise DataError(
            f"the input of pass {options.passes} would have {last / 1e6:.0f} megapixels, the limit is "
            f"{options.largest / 1e6:.0f}; give fewer --passes, or raise --max-megapixels"
        )


def _result_size(image: Image, network: Restorer, options: RestoreOptions) -> tuple[int, int]:
    """Return height and width of a result."""
    height, width = image.pixels.shape[:2]
    return options.size.of(height, width, network.scale**options.passes)


def _restored_pixels(
    image: Image, network: Restorer, options: RestoreOptions, progress: Progress
) -> tuple[Pixels, Restored[Pixels]]:
    """Return the pixels of the result, resized to the requested size, and the sums over all passes."""
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
        tiles=tuple(sum(counts) for counts in zip(*(part.tiles for part in passed), strict=True)),
        cost=sum(part.cost for part in passed),
        base_cost=sum(part.base_cost for part in passed),
        seconds=sum(part.seconds for part in passed),
    )


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return pixels at another size, bicubically with antialiasing; hidden colour does not leak."""
    x = io.to_tensor(alpha.bled(pixels) if pixels.shape[2] == 4 else pixels)
    return io.to_pixels(resize(x, size), pixels.dtype)


@functools.cache
def _say_composited() -> None:
    """Log once that transparent pixels get a background."""
    logger.info("JPEG has no transparency: transparent pixels are set over the colour of --background")


def _reason(error: Exception, source: Input) -> str:
    """Return the reason of a failure in one line, without the name of the input."""
    if isinstance(error, LowvisionError):
        return str(error).removeprefix(f"{source.path}: ").removeprefix(f"{source.names[0]}: ")
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if is_out_of_memory(error):
        return "memory ran out; request a smaller result, e.g. by --scale, or fewer --passes or --processes"
    return summary_of(error)


def _is_complete(target: Path | Location) -> bool:
    """Return False for a missing result, and for an empty one, which a full disk or another program leaves."""
    if isinstance(target, Location):
        return target.is_complete()
    return os.path.isfile(target) and target.stat().st_size > 0  # a name that is too long is no file
