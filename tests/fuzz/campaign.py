"""Run a campaign in a worker process with limits on time and memory; keep and minimise every failure."""

from __future__ import annotations

import importlib
import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lowvision.errors import LowvisionError, summary_of

HANG = 5
"""Seconds for one input."""
MEMORY = 1 << 30
"""Bytes that the worker may take beyond what its libraries take."""


@dataclass(frozen=True)
class Failure:
    """An input that gave no result and no clear message."""

    kind: str
    seed: int
    reason: str


def run(kinds: list[str], first_seed: int, seconds: float, folder: Path) -> tuple[dict[str, int], list[Failure]]:
    """Try mutated inputs of all kinds in turn; return counts by kind, and the failures, whose inputs are kept."""
    counts, failures = dict.fromkeys(kinds, 0), list[Failure]()
    seed = first_seed
    with _Worker(kinds, folder) as worker:
        ends = time.monotonic() + seconds  # the worker is ready
        while time.monotonic() < ends:
            kind = kinds[seed % len(kinds)]
            if reason := worker.attempt(kind, seed):
                failures.append(Failure(kind, seed, reason))
            counts[kind] += 1
            seed += 1
    return counts, failures


class _Worker:
    """A process that is started again when an input ends it."""

    def __init__(self, kinds: list[str], folder: Path):
        self._kinds, self._folder = kinds, folder
        self._context = multiprocessing.get_context("spawn")

    def __enter__(self) -> _Worker:
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_work, args=(theirs, self._kinds, self._folder), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def attempt(self, kind: str, seed: int) -> str:
        """Return why an input failed; empty if it did not."""
        try:
            self._connection.send((kind, seed))
            if self._connection.poll(HANG + 5):
                return str(self._connection.recv())
            reason = f"takes more than {HANG} s and cannot be interrupted"
        except (EOFError, OSError):
            self._process.join()
            reason = f"ended the process with {self._process.exitcode}"
        self.__exit__()
        self.__enter__()
        return reason


def _work(connection: Connection, kinds: list[str], folder: Path) -> None:
    from fuzz import inputs

    sound = {name: _sound(inputs.KINDS[name], folder / name) for name in kinds}
    _import_all(inputs.KINDS, sound)
    _limit_memory()
    signal.signal(signal.SIGALRM, _interrupt)
    connection.send("ready")
    while True:
        kind, seed = connection.recv()
        connection.send(_answer(inputs.KINDS[kind], sound[kind], seed, folder / "failures"))


def _import_all(kinds: dict[str, Any], sound: dict[str, list[tuple[Path, bytes]]]) -> None:
    """Read every sound input once, and import what only unusual ones need: imports take longer than HANG allows."""
    with suppress(ImportError):
        importlib.import_module("spandrel")
    for name, files in sound.items():
        for path, _ in files:
            with suppress(LowvisionError, AssertionError):  # an undamaged checkpoint, and a manifest without graphs
                kinds[name].read(path)


def _sound(kind: Any, folder: Path) -> list[tuple[Path, bytes]]:
    folder.mkdir(parents=True, exist_ok=True)
    return [(path, path.read_bytes()) for path in kind.seeds(folder)]


def _answer(kind: Any, sound: list[tuple[Path, bytes]], seed: int, failures: Path) -> str:
    """Return why a mutated input failed; it lies at the place of the sound one while it is read."""
    from fuzz.mutation import mutated

    path, content = sound[seed // 7 % len(sound)]
    changed = mutated(content, seed)
    if changed == content:
        return ""
    path.write_bytes(changed)
    reason = _outcome(kind, path)
    path.write_bytes(content)
    if reason:
        failures.mkdir(exist_ok=True)
        (failures / f"{kind.name}-{seed}{path.suffix}").write_bytes(changed)
    return reason


def _outcome(kind: Any, path: Path) -> str:
    signal.alarm(HANG)
    try:
        kind.read(path)
    except LowvisionError:
        return ""
    except (Exception, _Hang) as error:
        return summary_of(error)
    finally:
        signal.alarm(0)
    return ""


class _Hang(BaseException):
    """An input took too long."""


def _interrupt(*_: object) -> None:
    raise _Hang(f"takes more than {HANG} s")


def _limit_memory() -> None:
    import resource

    (pages, *_) = Path("/proc/self/statm").read_text().split()
    limit = int(pages) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def lines(counts: dict[str, int], failures: list[Failure]) -> Iterator[str]:
    """Yield the counts and the failures as text."""
    yield ", ".join(f"{count} {kind}" for kind, count in counts.items())
    yield from (f"{failure.kind} seed {failure.seed}: {failure.reason}" for failure in failures)
