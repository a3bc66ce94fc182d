"""Execution by PyTorch: inference mode, channels last; half precision by autocast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision import Precision
from lowvision_runtimes import cores

HALVES: Mapping[str, torch.dtype] = {"bf16": torch.bfloat16, "f16": torch.float16}
COLOURS = 4
"""Most channels of an image."""


class ImageShuffle(nn.Module):
    """A pixel shuffle whose result, if it is an image, lies in planes, as blending needs it.

    That of PyTorch keeps channels last, and its result would be copied.
    """

    def __init__(self, factor: int):
        super().__init__()
        self.factor = factor

    def forward(self, features: Tensor) -> Tensor:
        batch, channels, height, width = features.shape
        colours = channels // self.factor**2
        if colours > COLOURS:
            return functional.pixel_shuffle(features, self.factor)
        blocks = features.unflatten(1, (colours, self.factor, self.factor)).permute(0, 1, 4, 2, 5, 3)
        return blocks.reshape(batch, colours, self.factor * height, self.factor * width)


class Prepared:
    """A prepared network: (B,C,h,w) float32 on any device -> output on the device that it was prepared for."""

    def __init__(self, module: nn.Module, callers: int, device: str, compiled: bool, precision: Precision):
        # mps gains nothing from channels last and lacks kernels for it.
        self._layout = torch.contiguous_format if device.startswith("mps") else torch.channels_last
        self._device = torch.device(device)
        self._half = HALVES.get(precision)
        if self._half:
            _halve(module, self._half)
        if self._device.type == "cpu" and not compiled:
            _shuffle_to_planes(module)
        self._network: Any = module.to(self._device).to(memory_format=self._layout)
        if compiled:
            self._network = torch.compile(self._network)
        self._threads = cores.threads_per_call(callers)

    def __call__(self, x: Tensor) -> Tensor:
        # PyTorch keeps this number per calling thread; a new thread starts with the value set last by any thread.
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        x = x.to(self._device).contiguous(memory_format=self._layout)
        half = self._half or torch.bfloat16
        autocast = torch.autocast(self._device.type, half, enabled=self._half is not None, cache_enabled=False)
        with torch.inference_mode(), autocast:
            return self._network(x).float()  # a no-op in float32


def _shuffle_to_planes(module: nn.Module) -> None:
    """Replace the pixel shuffles inside a network by those to planes."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.PixelShuffle:
                setattr(parent, name, ImageShuffle(child.upscale_factor))


def _halve(module: nn.Module, half: torch.dtype) -> None:
    """Convert convolutions and linear layers once: autocast would round their weights in every call."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.to(half)
