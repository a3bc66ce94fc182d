"""How many multiply-adds a second this machine does at most: a 3x3 convolution from 64 channels to 64."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

CHANNELS, KERNEL = 64, 3
INPUTS = ((1, 64, 64), (4, 32, 32), (16, 64, 64), (1, 256, 256))
"""Batch, height and width: from what stays in the cache of a core to what keeps all of them busy."""
FORMATS = (torch.channels_last, torch.contiguous_format)
PATIENCE = 0.1
"""Seconds for one input in one format, in one of the two manners."""
AT_ONCE = 5
"""Convolutions of one call: so that handing it to a thread counts for nothing."""


@torch.inference_mode()
def multiply_adds_per_second() -> float:
    """The best over inputs and memory formats, by one call over all threads and by a call a core at the same time."""
    threads = torch.get_num_threads()
    found = [
        _rate(batch, height, width, form, callers, threads // callers)
        for batch, height, width in INPUTS
        for form in FORMATS
        for callers in {1, threads}
    ]
    torch.set_num_threads(threads)
    return max(found)


def _rate(batch: int, height: int, width: int, form: torch.memory_format, callers: int, threads: int) -> float:
    convolution = nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=1).to(memory_format=form)
    x = torch.rand(batch, CHANNELS, height, width).contiguous(memory_format=form)

    @torch.inference_mode()
    def some(x: Tensor) -> None:
        torch.set_num_threads(threads)  # each thread has a number of its own
        for _ in range(AT_ONCE):
            convolution(x)

    each = AT_ONCE * callers * batch * height * width * (CHANNELS * KERNEL) ** 2
    best = float("inf")
    with ThreadPoolExecutor(callers) as pool:
        began = time.perf_counter()
        while best == float("inf") or time.perf_counter() - began < PATIENCE:
            begun = time.perf_counter()
            list(pool.map(some, [x] * callers))
            best = min(best, time.perf_counter() - begun)
    return each / best
