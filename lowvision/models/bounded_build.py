"""Build a network only within the size of the file that holds its tensors, and compare both before memory is used.

The header of a weights file is not trusted: a few bytes can describe a billion layers. While such a network is built,
every registered parameter and module is counted, and the first one above the limit ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from lowvision.models.state_dict import difference
from lowvision.system import meta_device

REPLACED = 8
"""Maximum ratio of registered parameters to those of the file: some constructors replace their modules."""
SPARE = 4_000
"""Number of modules and parameters that any file may require; more would take seconds to build."""
MOST = 60_000
"""Modules and parameters that no file may exceed: they take some 3 s, and published networks have a few thousand."""
GRAPH_BYTES = 64
"""Smallest number of bytes in a graph file per module or parameter: a node takes some 100, and its weights more."""


class Oversized(Exception):
    """A network is larger than the tensors of its file allow."""


@dataclass(frozen=True)
class Limits:
    """Limits of what a constructor may register."""

    modules: int
    """Largest number of modules and parameters."""
    elements: int
    """Largest number of elements of all parameters."""

    @classmethod
    def of_tensors(cls, shapes: Mapping[str, tuple[int, ...]]) -> Limits:
        """Return the limits for a file with tensors of these shapes."""
        elements = sum(torch.Size(shape).numel() for shape in shapes.values())
        return cls(min(MOST, REPLACED * 16 * len(shapes) + SPARE), REPLACED * elements + 20_000_000)

    @classmethod
    def of_bytes(cls, count: int) -> Limits:
        """Return the limits for graph files of that many bytes."""
        return cls(min(MOST, count // GRAPH_BYTES + SPARE), REPLACED * count + 20_000_000)


@contextmanager
def within(limits: Limits) -> Iterator[None]:
    """Raise Oversized if more than the limits is registered in a module during the block."""
    modules = elements = 0

    def count(_owner: nn.Module, _name: str, value: Any) -> None:
        nonlocal modules, elements
        modules += 1
        elements += value.numel() if isinstance(value, Tensor) else 0
        if modules > limits.modules or elements > limits.elements:
            raise Oversized("the options describe a network that is far larger than the tensors in the file")

    handles = (
        hooks.register_module_parameter_registration_hook(count),
        hooks.register_module_buffer_registration_hook(count),
        hooks.register_module_module_registration_hook(count),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def misfit(build: Callable[[], nn.Module], state: Mapping[str, Tensor]) -> str:
    """Build a network on the meta device, and return its difference from `state` in one line; empty if none.

    Does not change the random generators. Raises Oversized, or the exception of a constructor.
    """
    limits = Limits.of_tensors({name: tuple(tensor.shape) for name, tensor in state.items()})
    with torch.random.fork_rng(devices=[]), within(limits), meta_device.structure_only():
        network = build()
    # With keep_vars a shared tensor is one object; on the meta device nothing else shows that it is shared.
    return difference(network.state_dict(keep_vars=True), state)
