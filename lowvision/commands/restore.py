"""What `lowvision restore` does: restores file after file, goes on after a bad one, and tells what came of it."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowvision.commands.inputs import Input
from lowvision.errors import LowvisionError, UsageError, summary_of
from lowvision.imaging import io
from lowvision.imaging.io import Image
from lowvision.inference import restorer
from lowvision.inference.restorer import Restorer
from lowvision.plugins.contracts import Precision
from lowvision.plugins.registry import Registry
from lowvision.system.processes import ProcessGroup
from lowvision.system.progress import Progress, telling

logger = logging.getLogger("lowvision")

SCHEMA = 1
"""Raised when the document changes in a way that its readers would notice."""


@dataclass(frozen=True)
class RestoreOptions:
    """How images are to be restored and written."""

    budget: float | None = None
    """The share of the base's cost that may be spent."""
    quality: int = 95
    """1..100, JPEG's and WebP's."""
    strips_metadata: bool = False
    """Whether EXIF and ICC are left out."""
    draws_maps: bool = False
    """Whether a route map is written beside each result."""
    skips_existing: bool = False
    """Whether an image is left alone whose result is there."""
    largest: float | None = None
    """The most pixels that an image may have."""
    max_loss: float | None = None
    """dB of PSNR that may be lost, by the curve of the weights; not beside a budget."""


@dataclass(frozen=True)
class Done:
    """A file that was restored."""

    given: Input
    height: int
    """Of the input."""
    width: int
    """Of the input."""
    tiles: tuple[int, ...]
    """How many went to each branch."""
    cost: int
    """Multiply-adds."""
    base_cost: int
    """Multiply-adds of the base on the whole image."""
    seconds: float
    """Of restoring alone, without reading and writing."""


@dataclass(frozen=True)
class Skipped:
    """A file whose result was there."""

    given: Input


@dataclass(frozen=True)
class Failed:
    """A file that could not be restored, or whose result could not be written."""

    given: Input
    reason: str


Outcome = Done | Skipped | Failed


def restore(
    inputs: Sequence[Input],
    weights: Path,
    manner: RestoreOptions,
    registry: Registry,
    group: ProcessGroup,
    device: str,
    runtime: str,
    precision: Precision = "f32",
) -> dict[str, Any]:
    """Restore every input, this process its share of them; the document of all processes.

    Raises WeightsError and RunError before the first file; a file that fails is told in the document.
    """
    began = time.perf_counter()
    network = restorer.load(weights, device=device, runtime=runtime, registry=registry, precision=precision)
    network.check_budget(manner.budget, manner.max_loss)
    if group.is_main_process and network.settings and (manner.budget, manner.max_loss) != (None, None):
        logger.info("the network is adaptive: PyTorch runs it in float32, tile by tile")
    own = group.shard(inputs)
    with telling(len(own), group.is_main_process) as progress:
        outcomes = [_outcome(given, network, manner, progress) for given in own]
    everything = group.gather(outcomes)
    return _document(everything, network, registry, manner, time.perf_counter() - began)


def check_writable(output: Path) -> None:
    """Make the folder of results, or of the one result. Raises UsageError where nothing can be written there."""
    folder = output.parent if output.suffix.lower() in io.DEPTHS and not output.is_dir() else output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{folder}: cannot write there: {error.strerror}; give another -o") from error


def text(document: dict[str, Any]) -> str:
    """The document in a line for a person, and a line for each failure."""
    total = document["total"]
    lines = [f"{total['restored']} restored, {total['skipped']} skipped, {total['failed']} failed"]
    if total["restored"]:
        shares = " / ".join(f"{share:.0%}" for share in total["shares"])
        lines[0] += f"; branches {shares}; cost {total['share_of_base']:.0%} of the base on whole images"
    lines[0] += f"; {total['seconds']:.1f} s"
    lines += [f"failed: {_printable(failed['input'])}: {_printable(failed['reason'])}" for failed in document["failed"]]
    return "\n".join(lines)


def _outcome(given: Input, network: Restorer, manner: RestoreOptions, progress: Progress) -> Outcome:
    """Restore one file; tells of its progress."""
    name = _printable(given.path)
    progress.begin(name)
    if manner.skips_existing and all(target.exists() for target in _targets(given, manner)):
        progress.end(f"{name}: its result is there, skipped")
        return Skipped(given)
    try:
        done = _restored(given, network, manner, progress)
    except Exception as error:  # one file, whatever is wrong with it, must not cost the others
        reason = _reason(error, given.path)
        progress.end(f"{name}: failed: {_printable(reason)}")
        return Failed(given, reason)
    sizes = f"{done.width}x{done.height} -> {done.width * network.scale}x{done.height * network.scale}"
    spent = f"{done.cost / done.base_cost:.0%} of the base, {done.seconds:.2f} s"
    if manner.budget and done.cost > manner.budget * done.base_cost:
        reason = "its setting was found on other tiles" if network.settings else "nothing is cheaper"
        spent += f"; over the budget of {manner.budget:.0%}: {reason}"
    progress.end(f"{name} -> {_printable(given.result)}: {sizes}, {spent}")
    return done


def _restored(given: Input, network: Restorer, manner: RestoreOptions, progress: Progress) -> Done:
    image = io.read(given.path, manner.largest)
    restored = network.restore(image.pixels, budget=manner.budget, progress=progress.move, max_loss=manner.max_loss)
    exif, icc = (None, None) if manner.strips_metadata else (image.exif, image.icc)
    given.result.parent.mkdir(parents=True, exist_ok=True)
    if manner.draws_maps:  # before the result: where that is, nothing is missing
        io.write(given.map, Image(network.route_map(image.pixels, restored)))
    io.write(given.result, Image(restored.image, exif, icc), manner.quality)
    height, width = image.pixels.shape[:2]
    return Done(given, height, width, restored.tiles, restored.cost, restored.base_cost, restored.seconds)


def _targets(given: Input, manner: RestoreOptions) -> tuple[Path, ...]:
    return (given.result, given.map) if manner.draws_maps else (given.result,)


def _reason(error: Exception, path: Path) -> str:
    """Why a file failed, without its name, in one line."""
    if isinstance(error, LowvisionError):
        return str(error).removeprefix(f"{path}: ")
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return summary_of(error)


def _document(
    outcomes: Sequence[Outcome], network: Restorer, registry: Registry, manner: RestoreOptions, seconds: float
) -> dict[str, Any]:
    """What came of all files, of what JSON can hold; names and units as in reports."""
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    total: dict[str, Any] = {"restored": len(done), "skipped": len(skipped), "failed": len(failed)}
    if done:
        tiles = tuple(sum(counts) for counts in zip(*(one.tiles for one in done), strict=True))
        total |= _spent(tiles, sum(one.cost for one in done), sum(one.base_cost for one in done))
    return {
        "schema": SCHEMA,
        "task": registry.serialize(network.architecture.task),
        "images": [_image(one, manner) for one in done],
        "skipped": [str(one.given.path) for one in skipped],
        "failed": [{"input": str(one.given.path), "reason": one.reason} for one in failed],
        "total": {**total, "seconds": seconds},
    }


def _image(one: Done, manner: RestoreOptions) -> dict[str, Any]:
    return {
        "input": str(one.given.path),
        "result": str(one.given.result),
        **({"map": str(one.given.map)} if manner.draws_maps else {}),
        "height": one.height,
        "width": one.width,
        **_spent(one.tiles, one.cost, one.base_cost),
        "seconds": one.seconds,
    }


def _spent(tiles: Sequence[int], cost: int, base_cost: int) -> dict[str, Any]:
    return {
        "shares": [count / sum(tiles) for count in tiles],
        "gmac": cost / 1e9,
        "gmac_of_base": base_cost / 1e9,
        "share_of_base": cost / base_cost,
    }


def _printable(path: Path | str) -> str:
    """A path as a terminal can show it; names need not be valid text."""
    return str(path).encode("utf-8", "replace").decode("utf-8")
