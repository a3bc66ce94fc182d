"""Measure rows, each in a separate process, in alternating rounds, so that machine load affects all rows equally."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowvision.bench import networks, photograph, shares, workers
from lowvision.bench.document import LeftOut, Measured, Outcome, Size, document
from lowvision.bench.pool import Say, WorkerPool
from lowvision.bench.rows import PEAK, PLAIN, SEARCH, TILED, Row
from lowvision.bench.workers import RowError
from lowvision.errors import UsageError
from lowvision.plugins.registry import Registry

logger = logging.getLogger("lowvision")


@dataclass(frozen=True)
class BenchRequest:
    """Arguments of a measurement."""

    subject: Path
    """Weights file, exported package, or recipe (its untrained networks)."""
    sizes: tuple[Size, ...]
    rows: tuple[Row, ...]
    rounds: int
    shares: str | None = None
    """Fixed shares of tiles per branch, e.g. `61,23,16`; None: the classifier routes."""
    photo: Path | None = None
    """Photograph to restore; None: a sample photograph."""
    device: str = "cpu"
    """Device, with its number: `cuda:0`."""


def parse_size(text: str) -> Size:
    """Parse width and height in LQ pixels, e.g. `960x540`. Raises UsageError."""
    match = re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,8})", text)
    if not match:
        raise UsageError(f"--size {text}: must be width and height in pixels; give e.g. 960x540")
    return Size(int(match[1]), int(match[2]))


def measure(request: BenchRequest, registry: Registry, log: Say = logger.info) -> dict[str, Any]:
    """Measure all rows and return the document; a row that cannot be measured is listed in it.

    Raises WeightsError, RecipeError, DataError and UsageError before the first measurement.
    """
    untrained = request.subject.suffix in networks.RECIPES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subject = networks.untrained(request.subject, folder, registry) if untrained else request.subject
        parts = networks.read(subject, registry)
        architecture = parts.architecture
        if any(row.runtime in registry["runtimes"] and row.runtime != PLAIN for row in request.rows):
            networks.export(parts)
        forced = shares.read(request.shares, len(architecture.branches)) if request.shares else None
        outcomes = []
        for size in request.sizes:
            image = folder / f"{size}.npy"
            np.save(image, photograph.lq(request.photo, (size.height, size.width), architecture.task, registry).numpy())
            job = {"weights": str(subject), "image": str(image), "shares": forced, "device": request.device}
            outcomes.append(_of_size(size, request.rows, request.rounds, job, log))
    facts = {"weights": str(request.subject), "untrained": untrained, "shares": forced, "rounds": request.rounds}
    return document(outcomes, architecture, {**facts, "device": request.device}, registry)


def _of_size(size: Size, rows: Sequence[Row], rounds: int, job: Mapping[str, Any], log: Say) -> Outcome:
    """Measure all rows at one size of the image, in new processes."""
    loaded: dict[Row, dict[str, Any]] = {}
    runs: dict[Row, list[dict[str, Any]]] = {}
    left_out: list[LeftOut] = []
    with WorkerPool(lambda line: log(f"{size}: {line}")) as pool:
        for row in (Row(PEAK, PLAIN), *rows):
            log(f"{size}: {row} warms up")
            try:
                row_job = {**job, "row": asdict(row), "tiles": _best_tiles(row, job) if row.method == TILED else None}
                loaded[row] = pool.warm_up(row, row_job)
                runs[row] = []
            except RowError as error:
                left_out.append(_logged(LeftOut(row, size, str(error)), log))
        for n in range(rounds):
            log(f"{size}: round {n + 1} of {rounds}")
            for row in list(runs):
                try:
                    runs[row].append(pool.run(row))
                except RowError as error:
                    left_out.append(_logged(LeftOut(row, size, str(error)), log))
                    del runs[row]
    return Outcome(
        tuple(Measured(row, size, loaded[row], tuple(results)) for row, results in runs.items()), tuple(left_out)
    )


def _best_tiles(row: Row, job: Mapping[str, Any]) -> dict[str, int]:
    """Find the fastest tiles of the tiled base, in another process, so that its memory is not counted."""
    with workers.started() as worker:
        best = worker.warm_up({**job, "row": asdict(Row(SEARCH, row.runtime)), "tiles": None})
    return {"size": best["tile"], "batch": best["batch"]}


def _logged(left_out: LeftOut, log: Say) -> LeftOut:
    log(f"{left_out.size}: {left_out.row} is left out: {left_out.reason}")
    return left_out
