"""Where the time of a routed restore goes: in the branches, or in classifier, tiling and blending.

Two measurements. Of the branches: each of their calls is timed, in whichever thread it is made; their sum, divided by
the threads that make them at once, is the time in which branches ran. Of all else: the same restore is run again with
branches that take no time and return memory as it comes, in the shape and layout of their true outputs; what that
takes is what classifier, decision, cutting, stacking, handing over and blending take. Subtracting the first from the
whole would not tell that: on a busy machine blending in one thread makes the branches' calls in the others longer.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import torch
from torch import Tensor

from lowvision.routing.networks import Networks, Run

Layout = tuple[tuple[int, ...], tuple[int, ...]]
"""Shape and strides."""


class Dissected:
    """What the branches did in the last run."""

    def __init__(self, callers: int):
        self._callers, self._sum = callers, 0.0
        self._lock = threading.Lock()
        self.layouts: dict[tuple[int, tuple[int, ...]], Layout] = {}
        """Of outputs, by branch and shape of the input; of all runs."""

    def begin(self) -> None:
        """A run begins."""
        self._sum = 0.0

    def add(self, k: int, given: Tensor, output: Tensor, seconds: float) -> None:
        """A call of branch k has ended; any thread may say so."""
        with self._lock:
            self._sum += seconds
            self.layouts[k, tuple(given.shape)] = tuple(output.shape), output.stride()

    @property
    def seconds(self) -> float:
        """In which branches ran, as if all threads had worked in them all the time."""
        return self._sum / self._callers


def watched(networks: Networks, calls: Dissected) -> Networks:
    """The same networks; calls of branches are told."""
    return replace(networks, branches=tuple(_watched(run, k, calls) for k, run in enumerate(networks.branches)))


def emptied(networks: Networks, calls: Dissected) -> Networks:
    """The same classifier; branches that do nothing, for inputs of shapes that were seen."""
    return replace(networks, branches=tuple(_nothing(k, calls) for k in range(len(networks.branches))))


def _watched(run: Run, k: int, calls: Dissected) -> Run:
    def timed(x: Tensor) -> Tensor:
        began = time.perf_counter()
        output = run(x)
        calls.add(k, x, output, time.perf_counter() - began)
        return output

    return timed


def _nothing(k: int, calls: Dissected) -> Run:
    def no_work(x: Tensor) -> Tensor:
        return torch.empty_strided(*calls.layouts[k, tuple(x.shape)])

    return no_work
