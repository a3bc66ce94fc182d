"""Augmentations by their names in albumentations, drawn from a seed per sample, equal for lq and gt."""

from __future__ import annotations

import copy
import inspect
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from lowvision.config.options import Options
from lowvision.config.validation import ValidationIssue, did_you_mean, from_error, name_hint, shown
from lowvision.errors import RecipeError, message_of

Specification = str | Mapping[str, Any]
"""The name of a transform, or {name: arguments}."""
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
    transforms = [_transform(specification) for specification in specifications]
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
        result = _transform(specification)
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


def _transform(specification: Any) -> Any | list[ValidationIssue]:
    """Return the transform, or the validation issues of its specification."""
    if isinstance(specification, str):
        specification = {specification: {}}
    if not (isinstance(specification, Mapping) and len(specification) == 1):
        return [ValidationIssue((), f"must be one name, or one name with its arguments, not {shown(specification)}")]
    ((name, arguments),) = specification.items()
    name = str(name)
    kind, problem = _kind(name)
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


def _kind(name: str) -> tuple[Any, str]:
    """Return (class, "") for a geometric transform, otherwise (None, reason)."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise the import queries the network
    import albumentations

    kind = getattr(albumentations, name, None)
    if isinstance(kind, type) and issubclass(kind, albumentations.DualTransform):
        return kind, ""
    if isinstance(kind, type) and issubclass(kind, albumentations.ImageOnlyTransform):
        return None, "changes pixel values, and lq must stay the degraded gt; use a geometric transform"
    components = [getattr(albumentations, attribute) for attribute in dir(albumentations)]
    geometric = [t.__name__ for t in components if isinstance(t, type) and issubclass(t, albumentations.DualTransform)]
    hint = did_you_mean(name, geometric)
    return None, "albumentations has no geometric transform of that name" + (f" ({hint})" if hint else "")


def _instance(kind: Any, name: str, arguments: dict[str, Any]) -> Any | list[ValidationIssue]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # albumentations only warns about arguments that it ignores
        try:
            return kind(**arguments)
        except (UserWarning, ValueError, TypeError) as error:
            if isinstance(error.__cause__, ValidationError):
                return [issue.below(name) for issue in from_error(error.__cause__, Options, arguments)]
            return [ValidationIssue((name,), message_of(error))]
