"""Set up a worker of a cluster for a command: its working folder, its threads, and a copy of the weights."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def enter(folder: Path, threads: int) -> None:
    """Work in the folder of the command, if this machine has it, where relative paths start, with that many threads."""
    import torch

    with suppress(OSError):  # a machine without that folder still reads absolute paths and URLs
        os.chdir(folder)
    torch.set_num_threads(threads)


def place() -> str:
    """Return the place of errors of this worker."""
    return f"worker on {platform.node()}"


def contents_of(weights: Path) -> dict[str, bytes]:
    """Return the content of the files of a weights file or an exported package by name."""
    paths = [weights, weights.with_suffix(".bin")] if weights.suffix == ".param" else [weights]
    if weights.is_dir():
        paths = [path for path in sorted(weights.iterdir()) if path.is_file()]
    return {path.name: path.read_bytes() for path in paths}


def local_weights(weights: Path, contents: Mapping[str, bytes]) -> Path:
    """Return the path of the weights if this machine has the same content there, otherwise that of a copy."""
    with suppress(OSError):
        if contents_of(weights) == contents:
            return weights
    folder = Path(tempfile.mkdtemp(prefix="lowvision-weights-"))
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder / weights.name if weights.name in contents else folder
