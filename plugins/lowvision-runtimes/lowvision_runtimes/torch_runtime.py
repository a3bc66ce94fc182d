"""A network run by PyTorch: inference mode, channels last."""

from __future__ import annotations

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
        self._threads = cores.for_each(callers)

    def __call__(self, x: Tensor) -> Tensor:
        # PyTorch keeps this number for each calling thread; a new one begins with what was set last, by any.
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        with torch.inference_mode():
            return self._network(x.to(self._device).contiguous(memory_format=self._layout))
