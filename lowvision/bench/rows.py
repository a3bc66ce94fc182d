"""Rows of a bench: a restore method and a runtime, e.g. `routed:openvino`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lowvision.errors import UsageError
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.registry import Registry
from lowvision.system import devices

PLAIN = "torch"
"""PyTorch with default settings: eager, contiguous, default threads and allocator."""
TUNED = "torch_tuned"
"""PyTorch eager with the engine's settings: channels last, and memory that is kept."""
COMPILED = "torch_compile"
"""PyTorch with torch.compile."""
BF16 = "_bf16"
"""Suffix of runtimes with convolutions in bfloat16."""
VARIANTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    TUNED: ("torch", {}),
    COMPILED: ("torch", {"compile": True}),
    **{f"{name}{BF16}": (name, {"precision": "bf16"}) for name in ("torch", "openvino")},
}
"""Runtimes with other than default options, by name."""

BICUBIC, WHOLE, TILED, TILE_BY_TILE, ROUTED = "bicubic", "base_whole", "base_tiled", "routed_tile_by_tile", "routed"
METHODS = (BICUBIC, WHOLE, TILED, TILE_BY_TILE, ROUTED)
PEAK = "peak"
"""Not a restore method: the peak rate of the machine."""
SEARCH = "search"
"""Not a restore method: the search for the fastest tiles of the tiled base."""


@dataclass(frozen=True)
class Row:
    """A restore method and a runtime."""

    method: str
    """Restore method, one of METHODS."""
    runtime: str
    """Runtime, one of the kind `runtimes` or of VARIANTS."""

    def __str__(self) -> str:
        return f"{self.method}:{self.runtime}"


def usual(registry: Registry, device: str = "cpu") -> tuple[Row, ...]:
    """Return the default rows: every method in every runtime that affects it and supports the device.

    bfloat16 is included if the CPU has instructions for it, and on accelerators. `routed:torch_compile` is excluded:
    each branch is compiled for each region shape, which takes many minutes.
    """
    on_cpu = device == "cpu"
    bf16 = [name for name in VARIANTS if name.endswith(BF16)] if devices.multiplies_bf16() or not on_cpu else []
    others = [name for name in (*registry["runtimes"], *bf16) if name != PLAIN and _supports(name, device, registry)]
    return (
        Row(BICUBIC, PLAIN),
        *(Row(WHOLE, runtime) for runtime in (PLAIN, TUNED, COMPILED, *others)),
        Row(TILED, PLAIN),
        Row(TILE_BY_TILE, PLAIN),
        *(Row(ROUTED, runtime) for runtime in (PLAIN, *others)),
    )


def _supports(name: str, device: str, registry: Registry) -> bool:
    """Return True if a runtime, or a variant of one, is for a device; whether it is installed is found out later."""
    runtime: type[Runtime] = registry.find("runtimes", VARIANTS.get(name, (name, {}))[0]).component
    return runtime.devices is None or device.partition(":")[0] in runtime.devices


def parse(names: Sequence[str], registry: Registry, device: str = "cpu") -> tuple[Row, ...]:
    """Parse rows: `routed:openvino` is one row, `routed` all default rows of that method.

    Raises UsageError for an invalid row, RecipeError for an unknown runtime.
    """
    selected: dict[Row, None] = {}  # in order, each once
    for name in names:
        method, _, runtime = name.partition(":")
        if method not in METHODS:
            raise UsageError(f"--rows {name}: no method '{method}'; choose from {', '.join(METHODS)}")
        if runtime:
            _check(name, Row(method, runtime), registry)
        rows = [Row(method, runtime)] if runtime else [row for row in usual(registry, device) if row.method == method]
        selected |= dict.fromkeys(rows)
    return tuple(selected)


def runtime_of(row: Row, registry: Registry) -> Runtime:
    """Return the runtime of a row. Raises RecipeError if it is unknown."""
    name, options = VARIANTS.get(row.runtime, (row.runtime, {}))
    runtime: Runtime = registry.find("runtimes", name).component(**options)
    return runtime


def _check(name: str, row: Row, registry: Registry) -> None:
    if row.method in (BICUBIC, TILE_BY_TILE) and row.runtime != PLAIN:
        raise UsageError(f"--rows {name}: {row.method} runs only in {PLAIN}; give {row.method}:{PLAIN}")
    if row.runtime == TUNED and row.method != WHOLE:
        raise UsageError(f"--rows {name}: the engine always has these settings; give {row.method}:{PLAIN}")
    if row.runtime not in VARIANTS:
        registry.find("runtimes", row.runtime)
