"""Statistics of a batch that several processes share."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


@torch.no_grad()
def mean_over_processes(tensor: Tensor) -> Tensor:
    """Return the mean of a tensor over the processes that train together; the tensor itself if there is one process.

    All processes must call it in the same order, e.g. in forward while `self.training`. Running statistics that are
    updated with it are the same in all processes, as those of SyncBatchNorm.
    """
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return tensor.detach()
    total = tensor.detach().clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
