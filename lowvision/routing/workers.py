"""Works on several things at the same time and hands the results over in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Thing = TypeVar("Thing")
Result = TypeVar("Result")

AHEAD = 2
"""Things a thread that are begun before the oldest result is asked for: so no thread waits, and few results pile up."""


def in_order(work: Callable[[Thing], Result], things: Iterable[Thing], threads: int) -> Iterator[Result]:
    """The results of `work` on each thing, in the order of things; with one thread, in the caller's own.

    Things are taken from their iterable as late as can be. An error of `work` comes up where its result would.
    """
    if threads == 1:
        yield from map(work, things)
        return
    with _without_teams(), ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for thing in things:
                begun.append(pool.submit(work, thing))
                if len(begun) > AHEAD * threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()


@contextmanager
def _without_teams() -> Iterator[None]:
    """Each thread computes by itself.

    OpenMP's threads wait for more work by spinning: after every small operation of the caller's, as blending, they
    would keep the cores from those that restore.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
