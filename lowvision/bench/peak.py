"""Measure the peak multiply-adds per second of this machine: a 3x3 convolution from 64 to 64 channels."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from lowvision.system import devices

CHANNELS, KERNEL = 64, 3
INPUTS = ((1, 64, 64), (4, 32, 32), (16, 64, 64), (1, 256, 256))
"""Batch, height and width: from inputs that fit a core's cache to inputs that keep all cores busy."""
ON_ACCELERATOR = ((16, 64, 64), (64, 128, 128), (16, 512, 512))
"""The same for accelerators, which launches of smaller inputs would keep waiting."""
FORMATS = (torch.channels_last, torch.contiguous_format)
PATIENCE = 0.1
"""Seconds per input, memory format and number of callers."""
REPEATS = 5
"""Convolutions per call, so that the dispatch to a thread is negligible."""


@torch.inference_mode()
def multiply_adds_per_second(device: str = "cpu") -> float:
    """Return the highest rate over all inputs and memory formats.

    On a CPU it is measured with one call on all threads, and with one call per core.
    """
    threads = torch.get_num_threads()
    on_cpu = device == "cpu"
    rates = [
        _rate(batch, height, width, form, callers, threads // callers, device)
        for batch, height, width in (INPUTS if on_cpu else ON_ACCELERATOR)
        for form in FORMATS
        for callers in ({1, threads} if on_cpu else {1})
    ]
    torch.set_num_threads(threads)
    return max(rates)


def _rate(
    batch: int, height: int, width: int, form: torch.memory_format, callers: int, threads: int, device: str
) -> float:
    convolution = nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=1).to(device).to(memory_format=form)
    x = torch.rand(batch, CHANNELS, height, width, device=device).contiguous(memory_format=form)

    @torch.inference_mode()
    def convolve(x: Tensor) -> None:
        torch.set_num_threads(threads)  # the setting is per thread
        for _ in range(REPEATS):
            convolution(x)
        devices.synchronize(device)

    multiply_adds = REPEATS * callers * batch * height * width * (CHANNELS * KERNEL) ** 2
    best = float("inf")
    with ThreadPoolExecutor(callers) as pool:
        began = time.perf_counter()
        while best == float("inf") or time.perf_counter() - began < PATIENCE:
            call_began = time.perf_counter()
            list(pool.map(convolve, [x] * callers))
            best = min(best, time.perf_counter() - call_began)
    return multiply_adds / best
