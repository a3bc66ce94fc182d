"""Checkpoints of a training stage, from which it goes on bit for bit: in accelerate's layout, whole or not there."""

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


def save(accelerator: Accelerator, folder: Path, step: int, facts: dict[str, Any], average: nn.Module | None) -> None:
    """Write a checkpoint of everything that `accelerator` prepared; every process calls this.

    It appears whole by renaming; only then is its predecessor deleted. `facts` is what the loop itself must remember.
    """
    try:
        _save(accelerator, folder, step, facts, average)
    except (OSError, RuntimeError, SafetensorError) as error:  # RuntimeError: torch's word for a failed write
        raise RunError(f"{folder}: a checkpoint cannot be written ({error}); the one before it is kept") from None


def _save(accelerator: Accelerator, folder: Path, step: int, facts: dict[str, Any], average: nn.Module | None) -> None:
    done, partial = folder / f"step-{step:08d}", folder / ".partial"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed while it wrote
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        if average is not None:
            state = unshared(average.state_dict())
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, partial / AVERAGE)
        (partial / LOOP).write_text(json.dumps({"step": step, **facts}))
        shutil.rmtree(done, ignore_errors=True)
        partial.rename(done)
        for old in folder.glob("step-*"):
            if old != done:
                shutil.rmtree(old)
    accelerator.wait_for_everyone()


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint in `folder`."""
    return max(folder.glob("step-*"), default=None)


def restore(accelerator: Accelerator, path: Path, average: nn.Module | None) -> dict[str, Any]:
    """Put everything that `accelerator` prepared back to that checkpoint; the loop's facts, `step` among them."""
    accelerator.load_state(str(path))
    if average is not None:
        average.load_state_dict(load_file(path / AVERAGE), strict=False)  # second names of a tensor are not there
    return json.loads((path / LOOP).read_text())
