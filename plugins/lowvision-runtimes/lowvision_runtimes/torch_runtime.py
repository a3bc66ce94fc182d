"""A network run by PyTorch: inference mode, channels last."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn

from lowvision_runtimes import cores


class Prepared:
    """(B,C,h,w) float32 on any device -> the output, on the device that it was prepared for."""

    def __init__(self, module: nn.Module, callers: int, device: str, compiled: bool):
        # mps gains nothing from channels last, and lacks kernels for it.
        self._layout = torch.contiguous_format if device == "mps" else torch.channels_last
        self._device = torch.device(device)
        self._network: Any = module.to(self._device).to(memory_format=self._layout)
        if compiled:
            self._network = torch.compile(self._network)
        self._callers, self._threads = callers, cores.for_each(callers)
        self._this_thread = threading.local()

    def __call__(self, x: Tensor) -> Tensor:
        if self._callers > 1 and not hasattr(self._this_thread, "ready"):
            # PyTorch counts threads for each calling thread; one that has asked for nothing takes all cores.
            torch.set_num_threads(self._threads)
            self._this_thread.ready = True
        with torch.inference_mode():
            return self._network(x.to(self._device).contiguous(memory_format=self._layout))
