"""The device of a command, its number of processes, and the name and instructions of the CPU."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch

from lowvision.errors import RunError


def choose(name: str) -> str:
    """Return `cpu`, `cuda` or `mps`; `auto` selects the fastest. Raises RunError if it is unknown or unavailable."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, is_available in available.items() if is_available)
    if name not in available:
        raise RunError(f"no device '{name}'; there are auto, {', '.join(available)}")
    if not available[name]:
        usable = ", ".join(device for device, is_available in available.items() if is_available)
        raise RunError(f"device '{name}' is not available; use {usable}, or auto")
    return name


def check_processes(processes: int, device: str) -> None:
    """Raise RunError if there are fewer accelerators, or cores, than processes."""
    resource, available = "cores", os.cpu_count() or 1
    if device != "cpu":
        resource, available = "visible accelerators", torch.cuda.device_count() if device == "cuda" else 1
    if processes > available:
        raise RunError(f"--processes {processes}: there are {available} {resource}; use at most {available}")


def multiplies_bf16() -> bool:
    """Return True if the CPU has instructions for bfloat16 products, in AMX or AVX-512."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def cpu_name() -> str:
    """Return the model name of the CPU, or its architecture if the system does not list it."""
    try:
        cpu_info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    match = re.search(r"^model name\s*: (.+)$", cpu_info, re.MULTILINE)
    return match[1] if match else platform.processor()
