"""Works on several things at the same time and hands the results over in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2
"""Things a thread that are begun before the oldest result is asked for: so no thread waits, and few results pile up."""


def in_order(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """The results of `work` on each thing, in the order of things; with one thread, in the caller's own.

    Things are taken from their iterable as late as can be. An error of `work` comes up where its result would.
    """
    if threads == 1:
        yield from map(work, items)
        return
    with TEAMS.resting(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for item in items:
                begun.append(pool.submit(work, item))
                if len(begun) > AHEAD * threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()


@dataclass
class Teams:
    """The threads that PyTorch computes with: each thread has a number of its own, and a new one gets the last set."""

    _resting: int = 0
    """How many restore at this moment, in whose threads that number is 1."""
    _size: int = 1
    """What it was when the first of them came."""
    _lock: Lock = field(default_factory=Lock)

    @property
    def size(self) -> int:
        """Threads that a computation may have, whoever restores at this moment."""
        with self._lock:
            return self._size if self._resting else torch.get_num_threads()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """The thread that enters computes by itself, as those that it begins should.

        OpenMP's threads wait for more work by spinning: after every small operation of the caller's, as blending, they
        would keep the cores from those that restore.
        """
        with self._lock:
            if not self._resting:
                self._size = torch.get_num_threads()
            self._resting += 1
            torch.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._resting -= 1
                torch.set_num_threads(self._size)


TEAMS = Teams()
"""Of this process."""
