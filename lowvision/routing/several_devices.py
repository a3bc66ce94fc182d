"""Share the batches of one image among several accelerators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from queue import SimpleQueue

import torch
from torch import Tensor

from lowvision.routing.networks import Run
from lowvision.system import devices


def shared_branches(prepared: Mapping[torch.device, tuple[Run, ...]]) -> tuple[Run, ...]:
    """Return branches that run each batch on a device that is free, and return its result on the first device.

    prepared: the same branches on each device. As many threads as there are devices should call them.
    """
    free: SimpleQueue[torch.device] = SimpleQueue()
    for device in prepared:
        free.put(device)
    first = next(iter(prepared))
    return tuple(partial(_on_free_device, k, prepared, free, first) for k in range(len(prepared[first])))


def _on_free_device(
    k: int,
    prepared: Mapping[torch.device, tuple[Run, ...]],
    free: SimpleQueue[torch.device],
    first: torch.device,
    tiles: Tensor,
) -> Tensor:
    """Run branch k on tiles (B,C,h,w) on any device, and return its output on the first device."""
    device = free.get()
    try:
        restored = prepared[device][k](tiles.to(device, non_blocking=True)).to(first, non_blocking=True)
        devices.synchronize(device)  # until then the device is busy, however short its calls are
        return restored
    finally:
        free.put(device)
