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
"""Seconds of processor time for one input; a loaded machine takes longer without a hang."""
BLOCKED = 60
"""Seconds after which an input that takes no processor time is a failure too, e.g. a read that waits."""
MEMORY = 1 << 30
"""Bytes that the worker may take beyond what its libraries take."""


@dataclass(frozen=True)
class Failure:
    """An input that gave neither a result nor a clear message."""

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
            if self._connection.poll(BLOCKED + 5):
                return str(self._connection.recv())
            reason = "takes too long and cannot be interrupted"
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
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, _interrupt)
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
    from fuzz.minimise import minimised
    from fuzz.mutation import mutated

    path, content = sound[seed // 7 % len(sound)]
    changed = mutated(content, seed)
    if changed == content:
        return ""
    try:
        if reason := _outcome(kind, path, changed):
            failures.mkdir(exist_ok=True)
            kept = failures / f"{kind.name}-{seed}{path.suffix}"
            kept.write_bytes(changed)
            if not reason.startswith(_Hang.__name__):  # each attempt would take as long
                sort = reason.split(":")[0]
                short = minimised(changed, lambda part: _outcome(kind, path, part).split(":")[0] == sort)
                kept.with_stem(f"{kept.stem}-short").write_bytes(short)
        return reason
    finally:
        path.write_bytes(content)


def _outcome(kind: Any, path: Path, content: bytes) -> str:
    """Return the error of reading that content at that place; empty for a result or a clear message."""
    path.write_bytes(content)
    signal.setitimer(signal.ITIMER_PROF, HANG)
    signal.alarm(BLOCKED)
    try:
        kind.read(path)
    except LowvisionError:
        return ""
    except (Exception, _Hang) as error:
        return summary_of(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    return ""


class _Hang(BaseException):
    """An input took too long."""


def _interrupt(*_: object) -> None:
    raise _Hang(f"takes more than {HANG} s of processor time, or {BLOCKED} s")


def _limit_memory() -> None:
    import resource

    (pages, *_) = Path("/proc/self/statm").read_text().split()
    limit = int(pages) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def lines(counts: dict[str, int], failures: list[Failure]) -> Iterator[str]:
    """Yield the counts and the failures as text."""
    yield ", ".join(f"{count} {kind}" for kind, count in counts.items())
    yield from (f"{failure.kind} seed {failure.seed}: {failure.reason}" for failure in failures)
