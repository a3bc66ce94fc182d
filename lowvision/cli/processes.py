"""Processes and threads of the current command."""

from __future__ import annotations

import os
import sys


def run_in_processes(processes: int, device: str) -> int:
    """Run this process's command in several processes and return the exit code."""
    from lowvision.system.processes import launch

    return launch(_arguments_without("--processes"), processes, device)


def set_threads(threads: int | None) -> None:
    """Let PyTorch use that many CPU threads; None: the number that it chose."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def is_main_process() -> bool:
    """Return True if this process prints for all that torchrun started, or was not started by it."""
    return os.environ.get("RANK", "0") == "0"


def _arguments_without(option: str) -> list[str]:
    """Return the command-line arguments without an option and its value."""
    arguments = sys.argv[1:]
    kept = [argument for argument in arguments if not argument.startswith(f"{option}=")]
    if option in kept:
        index = kept.index(option)
        del kept[index : index + 2]
    return kept
