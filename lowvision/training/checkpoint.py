"""Atomic, verified checkpoints of a training stage in accelerate's layout; resuming from one is bit-exact.

The last two are kept. Each has a manifest with size and SHA-256 of every part; all files are flushed to the disk before
the checkpoint gets its name, so that neither a kill nor a power failure leaves a damaged one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lowvision.errors import RunError
from lowvision.models.state_dict import unshared
from lowvision.system.atomic import flush

FOLDER = "checkpoints"
"""Subfolder of a stage that holds its checkpoints."""
LOOP = "loop.json"
AVERAGE = "average.safetensors"
MANIFEST = "manifest.json"
KEPT = 2
"""Number of checkpoints that are kept."""
PARTIAL = ".partial"


def save(
    accelerator: Accelerator, folder: Path, step: int, loop_state: dict[str, Any], average: nn.Module | None
) -> None:
    """Write a checkpoint of everything that `accelerator` prepared; every process must call this.

    The checkpoint is written atomically by renaming; then all but the last KEPT are deleted.
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
    complete, partial = folder / f"step-{step:08d}", folder / PARTIAL
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
        _write_manifest(partial)
        shutil.rmtree(complete, ignore_errors=True)
        partial.rename(complete)
        flush(folder)
        for old in newest_first(folder)[KEPT:]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def newest_first(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, the newest first."""
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), reverse=True)


def latest(folder: Path, warn: Callable[[str], None]) -> Path | None:
    """Return the newest undamaged checkpoint in `folder`; None if there is no checkpoint.

    Every damaged one that is passed over is reported by `warn`. Raises RunError if all are damaged.
    """
    damaged = []
    for path in newest_first(folder):
        if not (damage := damage_of(path)):
            return path
        damaged.append(path)
        warn(f"{path}: the checkpoint is damaged ({damage}); an older one is used")
    if damaged:
        raise RunError(f"{folder}: all checkpoints are damaged; delete the folder to start this stage again")
    return None


def damage_of(path: Path) -> str:
    """Return what is wrong with a checkpoint, e.g. a part that was changed; empty if nothing is.

    A checkpoint of an older version has no manifest; only the presence of its parts is checked.
    """
    try:
        if not (path / MANIFEST).exists():
            return _damage_without_manifest(path)
        parts = _parts(path)
        for name, (size, digest) in parts.items():
            if (path / name).stat().st_size != size:
                return f"{name} has another size"
            if _sha256(path / name) != digest:
                return f"{name} has another checksum"
        if set(parts) != set(_names(path)) or (path / MANIFEST).read_text() != _manifest(parts):
            return f"{MANIFEST} is not the one that was written"
    except (OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"
    return "" if LOOP in parts else f"{LOOP} is not listed"


def restore(accelerator: Accelerator, path: Path, average: nn.Module | None) -> dict[str, Any]:
    """Restore everything that `accelerator` prepared from a checkpoint; return the loop state, including `step`.

    Raises RunError if the checkpoint does not belong to this network and optimizer.
    """
    try:
        accelerator.load_state(str(path))
        if average is not None:
            # A shared tensor is saved under one name only.
            average.load_state_dict(load_file(path / AVERAGE), strict=False)
        state: dict[str, Any] = json.loads((path / LOOP).read_text())
    except Exception as error:  # torch, pickle and accelerate raise many types
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise RunError(f"{path}: cannot be resumed from ({reason}); delete it to resume from an older one") from error
    return state


def remove_all(folder: Path) -> None:
    """Delete the checkpoints in `folder`, and the folder if nothing else is in it."""
    if folder.is_dir():
        for path in (*newest_first(folder), folder / PARTIAL):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)


def _write_manifest(folder: Path) -> None:
    """Flush all parts to the disk, and write their sizes and checksums."""
    names = _names(folder)
    (folder / MANIFEST).write_text(
        _manifest({name: ((folder / name).stat().st_size, _sha256(folder / name)) for name in names})
    )
    for name in (*names, MANIFEST):
        flush(folder / name)
    for path in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        flush(path)


def _names(folder: Path) -> list[str]:
    """Return the paths of all parts, sorted; hidden files, which systems add, are no parts."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(path.as_posix() for path in files if path.name[0] != "." and path.as_posix() != MANIFEST)


def _manifest(parts: Mapping[str, tuple[int, str]]) -> str:
    return json.dumps({"parts": parts}, indent=1)


def _parts(path: Path) -> dict[str, tuple[int, str]]:
    manifest = json.loads((path / MANIFEST).read_text())
    return {str(name): (int(size), str(digest)) for name, (size, digest) in manifest["parts"].items()}


def _damage_without_manifest(path: Path) -> str:
    parts = [part for part in path.rglob("*") if part.is_file()]
    if empty := [part.name for part in parts if not part.stat().st_size]:
        return f"{empty[0]} is empty"
    if not isinstance(json.loads((path / LOOP).read_text()).get("step"), int):
        return f"{LOOP} has no step"
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
