"""Which device a command works on, how many processes it may use, what the CPU is called and can do."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch

from lowvision.errors import RunError


def choose(name: str) -> str:
    """`cpu`, `cuda` or `mps`; `auto` takes the fastest there is. Raises RunError for one that is unknown or absent."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(kind for kind, is_there in there.items() if is_there)
    if name not in there:
        raise RunError(f"no device '{name}'; there are auto, {', '.join(there)}")
    if not there[name]:
        raise RunError(f"device '{name}' is not there; use {', '.join(k for k, v in there.items() if v)}, or auto")
    return name


def check_processes(processes: int, device: str) -> None:
    """Raises RunError where so many processes have no accelerator, or core, each."""
    what, available = "cores", os.cpu_count() or 1
    if device != "cpu":
        what, available = "visible accelerators", torch.cuda.device_count() if device == "cuda" else 1
    if processes > available:
        raise RunError(f"--processes {processes}: there are {available} {what}; ask for at most {available}")


def multiplies_bf16() -> bool:
    """Whether the CPU has instructions for products in bfloat16: AMX, or those of AVX-512."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def cpu_name() -> str:
    """The model of the CPU, as far as the system tells."""
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*: (.+)$", told, re.MULTILINE)
    return found[1] if found else platform.processor()
