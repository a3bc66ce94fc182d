"""Ranges of options, from which a value is drawn per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

if TYPE_CHECKING:
    from torch import Generator


def ascends(value: Any) -> Any:
    if isinstance(value, tuple) and value[0] > value[1]:
        raise ValueError(f"a range must ascend, e.g. [1, 3]; got {list(value)}")
    return value


Strength = Annotated[float, Field(ge=0)]
Range = Annotated[float | tuple[float, float], AfterValidator(ascends)]
"""A number, or a pair [low, high] that is sampled uniformly."""
Strengths = Annotated[Strength | tuple[Strength, Strength], AfterValidator(ascends)]
"""A range of numbers of at least 0."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A probability or a fraction."""


def drawn(value: float | tuple[float, float], generator: Generator) -> float:
    """Return a number as it is, and a random number from a range."""
    if not isinstance(value, tuple):
        return value
    low, high = value
    return low + (high - low) * uniform(generator)


def uniform(generator: Generator) -> float:
    """Return a random number in [0,1)."""
    import torch

    return torch.rand((), generator=generator, dtype=torch.float64).item()


def picked(weights: tuple[float, ...], generator: Generator) -> int:
    """Return an index, drawn with probabilities proportional to the weights."""
    mark = uniform(generator) * sum(weights)
    for index, weight in enumerate(weights):
        mark -= weight
        if mark < 0:
            return index
    return max(index for index, weight in enumerate(weights) if weight)  # rounding
