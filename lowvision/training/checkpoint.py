"""Atomic checkpoints of a training stage in accelerate's layout; resuming from one is bit-exact."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lowvision.errors import RunError
from lowvision.models.state_dict import unshared

LOOP = "loop.json"
AVERAGE = "average.safetensors"


def save(
    accelerator: Accelerator, folder: Path, step: int, loop_state: dict[str, Any], average: nn.Module | None
) -> None:
    """Write a checkpoint of everything that `accelerator` prepared; every process must call this.

    The checkpoint is written atomically by renaming; then its predecessor is deleted.
    loop_state: values of the training loop, as JSON.
    """
    try:
        _save(accelerator, folder, step, loop_state, average)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch raises RuntimeError for a failed write
        raise RunError(
            f"{folder}: the checkpoint cannot be written ({error}); free space and run again, the previous one is kept"
        ) from None


def _save(
    accelerator: Accelerator, folder: Path, step: int, loop_state: dict[str, Any], average: nn.Module | None
) -> None:
    complete, partial = folder / f"step-{step:08d}", folder / ".partial"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed while writing
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        if average is not None:
            state = unshared(average.state_dict())
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, partial / AVERAGE)
        (partial / LOOP).write_text(json.dumps({"step": step, **loop_state}))
        shutil.rmtree(complete, ignore_errors=True)
        partial.rename(complete)
        for old in folder.glob("step-*"):
            if old != complete:
                shutil.rmtree(old)
    accelerator.wait_for_everyone()


def latest(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in `folder`; None if there is none."""
    return max(folder.glob("step-*"), default=None)


def restore(accelerator: Accelerator, path: Path, average: nn.Module | None) -> dict[str, Any]:
    """Restore everything that `accelerator` prepared from a checkpoint; return the loop state, including `step`."""
    accelerator.load_state(str(path))
    if average is not None:
        average.load_state_dict(load_file(path / AVERAGE), strict=False)  # a shared tensor is saved under one name only
    return json.loads((path / LOOP).read_text())
