"""The device of a command, its number of processes, and the name and instructions of the CPU."""

from __future__ import annotations

import contextlib
import platform
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from lowvision.errors import RunError
from lowvision.system import cores

UNKNOWN_MEMORY = 2**31
"""Bytes that an accelerator is assumed to have free if its backend does not report them."""


def choose(name: str) -> str:
    """Return `cpu`, `cuda`, `xpu` or `mps`, or one of several as `cuda:1`; `auto` selects the fastest.

    Raises RunError if it is unknown or unavailable.
    """
    available = _available()
    if name == "auto":
        return next(device for device, is_available in available.items() if is_available)
    kind, _, index = name.partition(":")
    if kind not in available or (index and not index.isdecimal()) or name.endswith(":"):
        raise RunError(f"no device '{name}'; there are auto, {', '.join(available)}, and one of several as cuda:1")
    if not available[kind]:
        usable = ", ".join(device for device, is_available in available.items() if is_available)
        raise RunError(f"device '{name}' is not available; use {usable}, or auto")
    if index and int(index) >= (count := _count(kind)):
        raise RunError(
            f"device '{name}' is not available; there are {count} ({kind}:0 to {kind}:{count - 1}), of those that "
            "CUDA_VISIBLE_DEVICES shows"
        )
    return name


def resolve(name: str) -> str:
    """Choose a device, with the index of the current one: in another thread the current one would be the first.

    Raises RunError as `choose` does.
    """
    device = choose(name)
    if device in ("cuda", "xpu"):
        return f"{device}:{getattr(torch, device).current_device()}"
    return device


def resolve_all(names: str) -> tuple[str, ...]:
    """Resolve a device, or several accelerators as `cuda:0,cuda:1`. Raises RunError as `choose` does."""
    resolved = tuple(resolve(name.strip()) for name in names.split(","))
    if len(resolved) > 1 and "cpu" in resolved:
        raise RunError(f"device '{names}': the CPU cannot be combined with other devices; name accelerators only")
    if twice := next((name for name in resolved if resolved.count(name) > 1), None):
        raise RunError(f"device '{names}': names {twice} twice; name each device once")
    return resolved


def _available() -> dict[str, bool]:
    """Return the kinds of devices, the fastest first."""
    return {
        "cuda": torch.cuda.is_available(),
        "xpu": torch.xpu.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }


def _count(kind: str) -> int:
    """Return the number of visible devices of a kind."""
    return int(getattr(torch, kind).device_count()) if kind in ("cuda", "xpu") else 1


def layout(device: torch.device | str) -> torch.memory_format:
    """Return the memory format in which convolutions are fast; MPS gains nothing from channels last and lacks kernels.

    All places that move images or networks to a device must agree, or each batch is copied twice.
    """
    return torch.contiguous_format if torch.device(device).type == "mps" else torch.channels_last


def in_fast_layout(tensor: torch.Tensor) -> torch.Tensor:
    """Convert images to the memory format in which convolutions are fast; return other tensors unchanged."""
    return tensor.contiguous(memory_format=layout(tensor.device)) if tensor.dim() == 4 else tensor


def free_memory(device: torch.device | str) -> int:
    """Return the bytes that are free on a device; a cautious guess if an accelerator's backend does not report them."""
    kind = torch.device(device).type
    if kind == "cpu":
        return int(psutil.virtual_memory().available)
    if kind in ("cuda", "xpu"):
        return int(getattr(torch, kind).mem_get_info(torch.device(device))[0])
    if kind == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return UNKNOWN_MEMORY


def peak_memory(device: torch.device | str) -> int:
    """Return the largest number of bytes that this process has held on an accelerator; 0 if it is not counted."""
    kind = torch.device(device).type
    return int(getattr(torch, kind).max_memory_allocated(torch.device(device))) if kind in ("cuda", "xpu") else 0


def synchronize(device: torch.device | str) -> None:
    """Wait until an accelerator has finished all queued work; no effect on the CPU."""
    kind = torch.device(device).type
    if kind == "mps":
        torch.mps.synchronize()
    elif kind in ("cuda", "xpu"):
        getattr(torch, kind).synchronize(torch.device(device))


@contextlib.contextmanager
def exact_float32(device: torch.device | str) -> Iterator[None]:
    """Compute float32 convolutions and products of a CUDA device in IEEE float32, not TF32 with 10 bits of mantissa.

    By default PyTorch lets cuDNN use TF32 from Ampere on. It changes scores of a classifier near a tie, and PSNR.
    """
    if torch.device(device).type != "cuda":
        yield
        return
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before


@contextlib.contextmanager
def searched_convolutions() -> Iterator[None]:
    """Let cuDNN time its algorithms for each shape and use the fastest: training has few shapes. For CUDA only."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def precision_issue(precision: str, device: str) -> str | None:
    """Return why a device cannot train in a mixed precision, and the way out; None: it can."""
    kind = torch.device(device).type
    if precision == "fp16" and kind == "cpu":
        return "fp16 is for accelerators, a CPU would train in float32; use bf16, or no"
    if precision == "bf16" and kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "this GPU has no bfloat16 arithmetic and would only emulate it; use fp16, or no"
    return None


def accelerator_name(device: str) -> str:
    """Return the model of an accelerator; empty for the CPU."""
    kind = torch.device(device).type
    return str(getattr(torch, kind).get_device_name(torch.device(device))) if kind in ("cuda", "xpu") else ""


def check_processes(processes: int, device: str) -> None:
    """Raise RunError if there are fewer accelerators, or cores, than processes."""
    resource, available = "cores", cores.usable()
    if device != "cpu":
        resource, available = "visible accelerators", 1 if ":" in device else _count(device)
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
