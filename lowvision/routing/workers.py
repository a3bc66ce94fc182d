"""Process items in several threads and yield the results in order."""

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

AHEAD = 4
"""Items per thread that are queued ahead of the oldest result: no thread waits, and few results pile up."""


def in_order(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield the results of `work` in the order of the items; with one thread, work in the thread of the caller.

    Items are taken from the iterable as late as possible. An error of `work` is raised in place of its result.
    """
    if threads == 1:
        yield from map(work, items)
        return
    with TEAMS.single_threaded(), ThreadPoolExecutor(threads, initializer=_set_threads, initargs=(1,)) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > AHEAD * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _set_threads(count: int) -> None:
    """Set the number of threads that PyTorch uses per operation in this thread.

    The first operation of a thread replaces its number by the one that any thread set last, unless it was read before.
    """
    torch.get_num_threads()
    torch.set_num_threads(count)


@dataclass
class Teams:
    """Sets the number of threads that PyTorch uses per operation.

    PyTorch keeps this number per thread, and a new thread gets the number that was set last.
    """

    _active: int = 0
    """Number of restores in progress; their threads run PyTorch single-threaded."""
    _size: int = 1
    """Number of threads before the first of them began."""
    _lock: Lock = field(default_factory=Lock)

    @property
    def size(self) -> int:
        """Threads that a computation may use, also while a restore is in progress."""
        with self._lock:
            return self._size if self._active else torch.get_num_threads()

    @contextmanager
    def single_threaded(self) -> Iterator[None]:
        """Run PyTorch single-threaded in the calling thread, and in threads that it starts.

        OpenMP threads wait for more work by spinning: after every small operation of the caller, e.g. blending, they
        would occupy the cores that the workers need.
        """
        with self._lock:
            if not self._active:
                self._size = torch.get_num_threads()
            self._active += 1
            _set_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._active -= 1
                torch.set_num_threads(self._size)


TEAMS = Teams()
"""The thread bookkeeping of this process."""
