"""A network run by PyTorch: inference mode, channels last; in bfloat16 by autocast."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lowvision import Precision
from lowvision_runtimes import cores


class Prepared:
    """(B,C,h,w) float32 on any device -> the output, on the device that it was prepared for."""

    def __init__(self, module: nn.Module, callers: int, device: str, compiled: bool, precision: Precision):
        # mps gains nothing from channels last, and lacks kernels for it.
        self._layout = torch.contiguous_format if device == "mps" else torch.channels_last
        self._device = torch.device(device)
        self._halved = precision == "bf16"
        if self._halved:
            _halve(module)
        self._network: Any = module.to(self._device).to(memory_format=self._layout)
        if compiled:
            self._network = torch.compile(self._network)
        self._threads = cores.for_each(callers)

    def __call__(self, x: Tensor) -> Tensor:
        # PyTorch keeps this number for each calling thread; a new one begins with what was set last, by any.
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        given = x.to(self._device).contiguous(memory_format=self._layout)
        autocast = torch.autocast(self._device.type, torch.bfloat16, enabled=self._halved, cache_enabled=False)
        with torch.inference_mode(), autocast:
            return self._network(given).float()  # as it is, where it is float32 already


def _halve(module: nn.Module) -> None:
    """Convolutions in bfloat16, once: autocast would round their weights anew in every call."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.to(torch.bfloat16)
