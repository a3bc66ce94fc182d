"""Split the time of a routed restore into branches and overhead (classifier, tiling, blending).

Branches: every call is timed in its thread; the sum divided by the number of calling threads is the branches' time.
Overhead: the same restore is run with branches that compute nothing and return zeros in the shape and layout of the
real outputs, the same memory each time (uninitialised memory may hold NaN, which stops a restore). Subtracting the
branches' time from the total would be wrong: on a busy machine, blending in one thread slows the branches' calls in the
others.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import torch
from torch import Tensor

from lowvision.routing.networks import Networks, Run
from lowvision.system import devices

Layout = tuple[tuple[int, ...], tuple[int, ...]]
"""Shape and strides."""


class BranchCalls:
    """Record the calls of branches in the last run."""

    def __init__(self, callers: int, device: str = "cpu"):
        self._callers, self._sum, self._device = callers, 0.0, device
        self._lock = threading.Lock()
        self.layouts: dict[tuple[int, tuple[int, ...]], Layout] = {}
        """Layouts of outputs by branch and input shape, over all runs."""

    def begin(self) -> None:
        """Start a run."""
        self._sum = 0.0

    def add(self, k: int, inputs: Tensor, output: Tensor, seconds: float) -> None:
        """Record a finished call of branch k, from any thread."""
        with self._lock:
            self._sum += seconds
            self.layouts[k, tuple(inputs.shape)] = tuple(output.shape), output.stride()

    def finish(self) -> None:
        """Wait until an accelerator has run what was called; otherwise launches would be timed."""
        devices.synchronize(self._device)

    @property
    def seconds(self) -> float:
        """Time of the branches if all threads had run them without pause."""
        return self._sum / self._callers


def recorded(networks: Networks, calls: BranchCalls) -> Networks:
    """Return the same networks, with every call of a branch recorded."""
    return replace(networks, branches=tuple(_recorded(run, k, calls) for k, run in enumerate(networks.branches)))


def without_work(networks: Networks, calls: BranchCalls) -> Networks:
    """Return the same classifier with branches that compute nothing, for recorded input shapes."""
    return replace(networks, branches=tuple(_without_work(k, calls) for k in range(len(networks.branches))))


def _recorded(run: Run, k: int, calls: BranchCalls) -> Run:
    def timed(x: Tensor) -> Tensor:
        calls.finish()
        began = time.perf_counter()
        output = run(x)
        calls.finish()
        calls.add(k, x, output, time.perf_counter() - began)
        return output

    return timed


def _without_work(k: int, calls: BranchCalls) -> Run:
    outputs: dict[tuple[int, ...], Tensor] = {}

    def no_work(x: Tensor) -> Tensor:
        shape = tuple(x.shape)
        if shape not in outputs:
            outputs[shape] = torch.empty_strided(*calls.layouts[k, shape], device=x.device).zero_()
        return outputs[shape]

    return no_work
