"""Augmentations by their names in albumentations, drawn from a seed per sample, equal for lq and gt."""

from __future__ import annotations

import copy
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from lowvision.config.options import Options
from lowvision.config.validation import ValidationIssue, did_you_mean, from_error, name_hint, shown
from lowvision.errors import RecipeError, message_of

Specification = str | Mapping[str, Any]
"""The name of a transform, or {name: arguments}."""
Find = Callable[[str], tuple[Any, str]]
"""Returns (class, "") of a transform by its name, or (None, the reason why it cannot be used)."""
TRIES = 16
"""Draws on which transforms are checked before a run."""


class Augment:
    """A sequence of transforms; the result depends only on the inputs and the seed of the call."""

    def __init__(self, transforms: Sequence[Any]):
        self._transforms = tuple(transforms)
        for transform in self._transforms:
            transform.add_targets({"gt": "image"})

    def __call__(self, lq: np.ndarray, gt: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Apply the same changes to lq (h,w,C) and gt (s*h,s*w,C)."""
        # Called one by one: albumentations' Compose takes twice the time, for checks that are not needed here.
        for n, transform in enumerate(self._transforms):
            transform.set_random_seed(seed + n)
            images = transform(image=lq, gt=gt)
            lq, gt = images["image"], images["gt"]
        return lq, gt

    def always(self) -> Augment:
        """Return the same transforms with probability 1, so that checks cover rare ones."""
        transforms = copy.deepcopy(self._transforms)
        for transform in transforms:
            transform.p = 1.0
        return Augment(transforms)


def build(specifications: Sequence[Specification]) -> Augment:
    """Build the augmentations of a recipe's `data.augment`. Raises RecipeError if there are validation `issues`."""
    transforms = [transform(specification) for specification in specifications]
    found_issues = [
        issue.below("data", "augment", k)
        for k, result in enumerate(transforms)
        if isinstance(result, list)
        for issue in result
    ]
    if found_issues:
        raise RecipeError("\n".join(f"{'.'.join(map(str, issue.path))}: {issue.message}" for issue in found_issues))
    return Augment(transforms)


def issues(specifications: Sequence[Specification]) -> Iterator[ValidationIssue]:
    """Yield the validation issues of names and arguments, each below its index in the list."""
    for k, specification in enumerate(specifications):
        result = transform(specification)
        if isinstance(result, list):
            yield from (issue.below(k) for issue in result)


def check(augment: Augment, size: int, scale: int) -> None:
    """Raise RecipeError if the augmentations change lq and gt differently, as a random crop does."""
    augment = augment.always()
    numbers = np.arange(size * size, dtype=np.uint16).reshape(size, size, 1)
    lq = (np.concatenate([numbers % 251, numbers // 251, numbers % 7], axis=2)).astype(np.uint8)  # all pixels differ
    for seed in range(TRIES):
        try:
            changed, gt = augment(lq, _enlarged(lq, scale), seed)
        except (ValueError, KeyError, NotImplementedError) as error:
            raise RecipeError(f"data.augment: fails on tiles of {size}: {error!r}; use another transform") from None
        if changed.shape[:2] != (size, size) or not np.array_equal(gt, _enlarged(changed, scale)):
            raise RecipeError("data.augment: lq and gt no longer show the same region; use flips, turns, transposes")


def _enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    return image.repeat(scale, 0).repeat(scale, 1)


def transform(specification: Any, find: Find | None = None) -> Any | list[ValidationIssue]:
    """Return the transform, or the validation issues of its specification; find: by default, geometric transforms."""
    if isinstance(specification, str):
        specification = {specification: {}}
    if not (isinstance(specification, Mapping) and len(specification) == 1):
        return [ValidationIssue((), f"must be one name, or one name with its arguments, not {shown(specification)}")]
    ((name, arguments),) = specification.items()
    name = str(name)
    kind, problem = (find or _geometric)(name)
    if problem:
        return [ValidationIssue((name,), problem)]
    if not isinstance(arguments, Mapping | None):
        return [ValidationIssue((name,), f"must be a mapping of arguments, not {shown(arguments)}")]
    known = [argument for argument in inspect.signature(kind.__init__).parameters if argument != "self"]
    unknown = [str(argument) for argument in arguments or {} if argument not in known]
    if unknown:
        return [
            ValidationIssue((name, argument), f"unknown argument{name_hint(argument, known)}") for argument in unknown
        ]
    return _instance(kind, name, dict(arguments or {}))


def _geometric(name: str) -> tuple[Any, str]:
    """Return (class, "") for a geometric transform, otherwise (None, reason)."""
    import_quietly()
    import albumentations

    kind = getattr(albumentations, name, None)
    if _is(kind, albumentations.DualTransform):
        return kind, ""
    if _is(kind, albumentations.ImageOnlyTransform):
        return None, "changes pixel values, and lq must stay the degraded gt; use a geometric transform"
    return None, f"albumentations has no geometric transform of that name{_hint(name, albumentations.DualTransform)}"


def of_pixels(name: str) -> tuple[Any, str]:
    """Return (class, "") for a transform of pixel values, otherwise (None, reason)."""
    import_quietly()
    import albumentations

    kind = getattr(albumentations, name, None)
    if _is(kind, albumentations.ImageOnlyTransform) and not getattr(kind, "__abstractmethods__", None):
        return kind, ""
    if _is(kind, albumentations.DualTransform):
        return None, "moves pixels, so that lq no longer shows gt; use a transform of pixel values"
    return None, f"albumentations has no pixel transform of that name{_hint(name, albumentations.ImageOnlyTransform)}"


def import_quietly() -> None:
    """Keep albumentations from querying the network when it is imported."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def _is(kind: Any, base: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def _hint(name: str, base: Any) -> str:
    """Return ` (did you mean 'NEAREST'?)` among the transforms of a base class; empty if none is similar."""
    import albumentations

    components = [getattr(albumentations, attribute) for attribute in dir(albumentations)]
    hint = did_you_mean(name, [component.__name__ for component in components if _is(component, base)])
    return f" ({hint})" if hint else ""


def _instance(kind: Any, name: str, arguments: dict[str, Any]) -> Any | list[ValidationIssue]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # albumentations only warns about arguments that it ignores
        try:
            return kind(**arguments)
        except (UserWarning, ValueError, TypeError) as error:
            if isinstance(error.__cause__, ValidationError):
                return [issue.below(name) for issue in from_error(error.__cause__, Options, arguments)]
            return [ValidationIssue((name,), message_of(error))]
