"""A classifier and branches, or one network alone, in the files of the ClassSR authors' code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from lowvision import Part, Recognised
from lowvision_sr import SuperResolution
from lowvision_sr.reference.names import Found, below, of_layers, within

CLASSIFIER = "classifier."
CONVOLUTIONS = (0, 2, 4, 6, 8)
"""Of the classifier, in its own numbering, which is also ours."""

Find = Callable[[Mapping[str, Tensor]], Found | None]
"""Finds one kind of network in a state dict."""


def recognise(state: Mapping[str, Tensor], scale: int, finders: Iterable[Find]) -> Recognised | None:
    """The container or the network in a state dict; None where it is of another layout.

    scale: how far networks enlarge whose tensors do not tell. Raises ValueError where branches enlarge differently,
    KeyError where a telling tensor is missing.
    """
    finders = tuple(finders)
    if not any(name.startswith(CLASSIFIER) for name in state):
        found = _first(state, finders)
        return None if found is None else Recognised(_task(found, scale), (found.part,))
    prefixes = sorted({name.partition(".")[0] for name in state if name.startswith("net")}, key=_number)
    branches = [_first(within(f"{prefix}.", state), finders) for prefix in prefixes]
    found_all = [branch for branch in branches if branch is not None]
    if not branches or len(found_all) < len(branches):
        return None
    tasks = {_task(branch, scale) for branch in found_all}
    if len(tasks) > 1:
        raise ValueError(f"its branches enlarge by {' and '.join(str(task.scale) for task in tasks)}")
    return Recognised(
        task=tasks.pop(),
        branches=tuple(below(f"{prefix}.", branch.part) for prefix, branch in zip(prefixes, found_all, strict=True)),
        classifier=_classifier(state),
    )


def _first(state: Mapping[str, Tensor], finders: Iterable[Find]) -> Found | None:
    return next((found for find in finders if (found := find(state))), None)


def _task(found: Found, scale: int) -> SuperResolution:
    return SuperResolution(scale=found.scale or scale)  # type: ignore[arg-type]  # pydantic says which there are


def _classifier(state: Mapping[str, Tensor]) -> Part:
    layers = {f"CondNet.{n}": f"features.{n}" for n in CONVOLUTIONS} | {"lastOut": "last"}
    return below(CLASSIFIER, Part("class_module", within(CLASSIFIER, state), of_layers(layers)))


def _number(prefix: str) -> int:
    """net2 -> 2; what is not numbered comes first."""
    digits = prefix.removeprefix("net")
    return int(digits) if digits.isdecimal() else 0
