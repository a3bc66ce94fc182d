"""Load the batches of a training stage: each process gets its share of the tiles of every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lowvision.data.tiles import DistributedBatchSampler
from lowvision.data.undegraded import Undegraded
from lowvision.errors import RunError
from lowvision.system import cores, devices
from lowvision.training.options import Fit

MOST_LOADERS = 8
"""Most processes that load tiles for one training process by default."""


def of_process(
    samples: Dataset[tuple[Tensor, Tensor]],
    options: Fit,
    first_step: int,
    accelerator: Accelerator,
    workers: int | None,
    degrade: Callable[[Undegraded], tuple[Tensor, Tensor]] | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield this process's share of the tiles of every step, on its device."""
    processes = accelerator.num_processes
    if options.batch % (processes * (options.micro_batch or 1)):
        raise RunError(
            f"batch {options.batch} cannot be split over {processes} processes in micro-batches of "
            f"{options.micro_batch or 1}; make it a multiple of both"
        )
    shares = DistributedBatchSampler(first_step, options.steps, options.batch, accelerator.process_index, processes)
    loader = DataLoader(
        samples,
        batch_sampler=shares,
        num_workers=loaders(accelerator) if workers is None else workers,
        pin_memory=accelerator.device.type == "cuda",
        # The default generator would draw from torch's global one, which a resumed run has restored already.
        generator=torch.Generator(),
    )
    for pair in loader:
        lq, gt = (tensor.to(accelerator.device, non_blocking=True) for tensor in pair)
        if degrade and isinstance(pair, Undegraded):
            lq, gt = degrade(Undegraded(lq, pair.seed))
        yield devices.in_fast_layout(lq), devices.in_fast_layout(gt)


def loaders(accelerator: Accelerator) -> int:
    """Return the default number of processes that load tiles: an accelerator takes thousands a second."""
    if accelerator.device.type == "cpu":
        return 1
    return max(1, min(MOST_LOADERS, cores.per_process() - 1))
