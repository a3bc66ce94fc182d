"""Which ways of restoring are measured: a way and what runs its networks, as `routed:openvino`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lowvision.errors import UsageError
from lowvision.plugins.contracts import Runtime
from lowvision.plugins.registry import Registry
from lowvision.system import devices

PLAIN = "torch"
"""As most people run a network: eager, contiguous, PyTorch's own threads and allocator."""
TUNED = "torch_tuned"
"""Eager and as trained too, with what our engine has besides: channels last, and memory that is kept."""
COMPILED = "torch_compile"
"""PyTorch with kernels of its own making."""
HALVED = "_bf16"
"""At the end of a runtime's name: convolutions in bfloat16."""
VARIANTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    TUNED: ("torch", {}),
    COMPILED: ("torch", {"compile": True}),
    **{f"{name}{HALVED}": (name, {"precision": "bf16"}) for name in ("torch", "openvino")},
}
"""Names of ours for a runtime with other options."""

BICUBIC, WHOLE, TILED, TILE_BY_TILE, ROUTED = "bicubic", "base_whole", "base_tiled", "routed_tile_by_tile", "routed"
WAYS = (BICUBIC, WHOLE, TILED, TILE_BY_TILE, ROUTED)
PEAK = "peak"
"""No way to restore: what the machine can do at most."""
SEARCH = "search"
"""No way to restore: finds the tiles with which the tiled base is fastest."""


@dataclass(frozen=True)
class Row:
    """A way to restore, and what runs the networks."""

    what: str
    """One of WAYS."""
    runtime: str
    """A name on the menu `runtimes`, or one of VARIANTS."""

    def __str__(self) -> str:
        return f"{self.what}:{self.runtime}"


def usual(registry: Registry) -> tuple[Row, ...]:
    """What is measured unless told: every way, in every runtime that makes a difference to it.

    bfloat16 where the processor has instructions for it. Not `routed:torch_compile`: each shape of a region is compiled
    for each branch, which takes many minutes.
    """
    halved = [name for name in VARIANTS if name.endswith(HALVED)] if devices.multiplies_bf16() else []
    others = [name for name in (*registry["runtimes"], *halved) if name != PLAIN]
    return (
        Row(BICUBIC, PLAIN),
        *(Row(WHOLE, runtime) for runtime in (PLAIN, TUNED, COMPILED, *others)),
        Row(TILED, PLAIN),
        Row(TILE_BY_TILE, PLAIN),
        *(Row(ROUTED, runtime) for runtime in (PLAIN, *others)),
    )


def named(words: Sequence[str], registry: Registry) -> tuple[Row, ...]:
    """The rows of words: `routed:openvino` that one, `routed` every usual row of that way.

    Raises UsageError for words that mean no row, RecipeError for a runtime that nobody provides.
    """
    found: dict[Row, None] = {}  # in order, each once
    for word in words:
        what, _, runtime = word.partition(":")
        if what not in WAYS:
            raise UsageError(f"--rows {word}: no way '{what}'; there are {', '.join(WAYS)}")
        if runtime:
            _check(word, Row(what, runtime), registry)
        wanted = [Row(what, runtime)] if runtime else [row for row in usual(registry) if row.what == what]
        found |= dict.fromkeys(wanted)
    return tuple(found)


def runtime_of(row: Row, registry: Registry) -> Runtime:
    """What runs the networks of a row. Raises RecipeError for a runtime that nobody provides."""
    name, options = VARIANTS.get(row.runtime, (row.runtime, {}))
    found: Runtime = registry.find("runtimes", name).component(**options)
    return found


def _check(word: str, row: Row, registry: Registry) -> None:
    if row.what in (BICUBIC, TILE_BY_TILE) and row.runtime != PLAIN:
        raise UsageError(f"--rows {word}: {row.what} is {PLAIN} alone")
    if row.runtime == TUNED and row.what != WHOLE:
        raise UsageError(f"--rows {word}: our engine is tuned as it is; say {row.what}:{PLAIN}")
    if row.runtime not in VARIANTS:
        registry.find("runtimes", row.runtime)
