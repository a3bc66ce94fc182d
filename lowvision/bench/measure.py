"""Measures rows: each in a process of its own, one at a time, round after round, so that all meet the same machine."""

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
class Wanted:
    """What is to be measured."""

    subject: Path
    """A weights file, an exported package, or a recipe: then networks as they are before training."""
    sizes: tuple[Size, ...]
    rows: tuple[Row, ...]
    rounds: int
    shares: str | None = None
    """Of tiles, to be forced on the branches: as `61,23,16`."""
    photo: Path | None = None
    """None: a sample photograph."""


def size_of(text: str) -> Size:
    """`960x540`: width and height in LQ pixels. Raises UsageError."""
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not found:
        raise UsageError(f"--size {text}: give width and height of the input in pixels, as 960x540")
    return Size(int(found[1]), int(found[2]))


def measure(wanted: Wanted, registry: Registry, say: Say = logger.info) -> dict[str, Any]:
    """The document. A row that cannot be measured is told in it and costs no other one.

    Raises WeightsError, RecipeError, DataError and UsageError before anything is measured.
    """
    untrained = wanted.subject.suffix in networks.RECIPES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subject = networks.untrained(wanted.subject, folder, registry) if untrained else wanted.subject
        parts = networks.read(subject, registry)
        made = parts.architecture
        if any(row.runtime in registry["runtimes"] and row.runtime != PLAIN for row in wanted.rows):
            networks.export(parts)
        forced = shares.read(wanted.shares, len(made.branches)) if wanted.shares else None
        outcomes = []
        for size in wanted.sizes:
            image = folder / f"{size}.npy"
            np.save(image, photograph.lq(wanted.photo, (size.height, size.width), made.task, registry).numpy())
            job = {"weights": str(subject), "image": str(image), "shares": forced}
            outcomes.append(_of_size(size, wanted.rows, wanted.rounds, job, say))
    facts = {"weights": str(wanted.subject), "untrained": untrained, "shares": forced, "rounds": wanted.rounds}
    return document(outcomes, made, facts, registry)


def _of_size(size: Size, rows: Sequence[Row], rounds: int, job: Mapping[str, Any], say: Say) -> Outcome:
    """All rows at one size of the image; their processes begin and end with it."""
    loaded: dict[Row, dict[str, Any]] = {}
    runs: dict[Row, list[dict[str, Any]]] = {}
    left_out: list[LeftOut] = []
    with WorkerPool(lambda line: say(f"{size}: {line}")) as pool:
        for row in (Row(PEAK, PLAIN), *rows):
            say(f"{size}: {row} warms up")
            try:
                its = {**job, "row": asdict(row), "tiles": _best_tiles(row, job) if row.what == TILED else None}
                loaded[row] = pool.warm_up(row, its)
                runs[row] = []
            except RowError as error:
                left_out.append(_told(LeftOut(row, size, str(error)), say))
        for n in range(rounds):
            say(f"{size}: round {n + 1} of {rounds}")
            for row in list(runs):
                try:
                    runs[row].append(pool.run(row))
                except RowError as error:
                    left_out.append(_told(LeftOut(row, size, str(error)), say))
                    del runs[row]
    return Outcome(tuple(Measured(row, size, loaded[row], tuple(its)) for row, its in runs.items()), tuple(left_out))


def _best_tiles(row: Row, job: Mapping[str, Any]) -> dict[str, int]:
    """With which the tiled base is fastest; tried in another process, so that it counts for no memory."""
    with workers.started() as worker:
        found = worker.warm_up({**job, "row": asdict(Row(SEARCH, row.runtime)), "tiles": None})
    return {"size": found["tile"], "batch": found["batch"]}


def _told(left_out: LeftOut, say: Say) -> LeftOut:
    say(f"{left_out.size}: {left_out.row} is left out: {left_out.reason}")
    return left_out
