"""BatchNorm in several passes and processes: one set of statistics, updated once a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from accelerate import Accelerator
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Module = TypeVar("Module", bound=nn.Module)


def shared(network: Module, accelerator: Accelerator) -> Module:
    """Return the network with BatchNorm that normalises by the batch of all processes, if there are several GPUs.

    PyTorch has no such layer for CPUs: there each process normalises by its own share. Without BatchNorm there is no
    effect, and the names of the weights stay.
    """
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return network


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Normalise by the batch as in training, without updating the running statistics: the pass is an extra one."""
    updating = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.training]
    updating = [module for module in updating if module.track_running_stats]
    for module in updating:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in updating:
            module.track_running_stats = True
