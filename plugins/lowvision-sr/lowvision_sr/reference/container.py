"""A classifier and branches, or a single network, in the files of the ClassSR authors' code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from lowvision import Part, Recognised
from lowvision_sr import SuperResolution
from lowvision_sr.reference.names import Detected, add_prefix, strip_prefix, tensor_names

CLASSIFIER = "classifier."
CONVOLUTIONS = (0, 2, 4, 6, 8)
"""Positions of the classifier's convolutions, equal in the file and in our network."""

Detector = Callable[[Mapping[str, Tensor]], Detected | None]
"""Detects one kind of network in a state dict."""


def recognise(state: Mapping[str, Tensor], scale: int, detectors: Iterable[Detector]) -> Recognised | None:
    """Return the container or the network in a state dict; None for another layout.

    scale: the scale of networks whose tensors do not determine it. Raises ValueError if branches have different
    scales, KeyError if a tensor is missing.
    """
    detectors = tuple(detectors)
    if not any(name.startswith(CLASSIFIER) for name in state):
        network = _first(state, detectors)
        return None if network is None else Recognised(_task(network, scale), (network.part,))
    prefixes = [f"{name}." for name in sorted({n.partition(".")[0] for n in state if n.startswith("net")}, key=_number)]
    branches = [branch for p in prefixes if (branch := _first(strip_prefix(p, state), detectors))]
    if not prefixes or len(branches) < len(prefixes):
        return None
    tasks = {_task(branch, scale) for branch in branches}
    if len(tasks) > 1:
        raise ValueError(f"its branches have different scales: {' and '.join(str(task.scale) for task in tasks)}")
    return Recognised(
        task=tasks.pop(),
        branches=tuple(add_prefix(prefix, branch.part) for prefix, branch in zip(prefixes, branches, strict=True)),
        classifier=_classifier(state),
    )


def _first(state: Mapping[str, Tensor], detectors: Iterable[Detector]) -> Detected | None:
    return next((network for detect in detectors if (network := detect(state))), None)


def _task(network: Detected, scale: int) -> SuperResolution:
    return SuperResolution(scale=network.scale or scale)  # type: ignore[arg-type]  # pydantic checks it


def _classifier(state: Mapping[str, Tensor]) -> Part:
    layers = {f"CondNet.{n}": f"features.{n}" for n in CONVOLUTIONS} | {"lastOut": "last"}
    return add_prefix(CLASSIFIER, Part("class_module", strip_prefix(CLASSIFIER, state), tensor_names(layers)))


def _number(prefix: str) -> int:
    """Return 2 for net2, 0 for a name without a number."""
    digits = prefix.removeprefix("net")
    return int(digits) if digits.isdecimal() else 0
