"""Build the Accelerator of a command on a device, together with the other processes of the group."""

from __future__ import annotations

import os
from typing import Any

from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.state import AcceleratorState

from lowvision.system import devices, processes


def build(device: str, **options: Any) -> Accelerator:
    """Return an Accelerator on a device. Raises RunError if devices or processes do not suffice.

    Processes wait for one another as long as images may take: the default of NCCL, ten minutes, would end a run.
    """
    processes.check_replicated()
    selected = devices.choose(device)
    if ":" in selected:
        os.environ["ACCELERATE_TORCH_DEVICE"] = selected
    # A program may run several recipes; Accelerate would keep the precision of the first. The process group stays.
    AcceleratorState._reset_state()
    patience = InitProcessGroupKwargs(timeout=processes.PATIENCE)
    accelerator = Accelerator(cpu=selected == "cpu", kwargs_handlers=[patience], **options)
    processes.check_together(accelerator.num_processes)
    processes.check_replicated(accelerator.distributed_type.value)
    return accelerator
