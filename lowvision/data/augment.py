"""Augmentations by albumentations' names, drawn from the item's own seed, the same for lq and gt."""

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
from lowvision.config.validation import ValidationIssue, from_error, name_hint, shown
from lowvision.errors import RecipeError

Specification = str | Mapping[str, Any]
"""A transform's name, or its name with its arguments."""
TRIES = 16
"""Draws on which a row of transforms is tried before a run."""


class Augment:
    """Transforms in a row; what they do follows from the seed of the call alone."""

    def __init__(self, transforms: Sequence[Any]):
        self._transforms = tuple(transforms)
        for transform in self._transforms:
            transform.add_targets({"gt": "image"})

    def __call__(self, lq: np.ndarray, gt: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """lq (h,w,C) and gt (s*h,s*w,C), changed in the same way."""
        # Each transform is called by itself: albumentations' Compose takes twice the time, for checks we need not.
        for n, transform in enumerate(self._transforms):
            transform.set_random_seed(seed + n)
            both = transform(image=lq, gt=gt)
            lq, gt = both["image"], both["gt"]
        return lq, gt

    def always(self) -> Augment:
        """The same transforms, each of them at every call: a rare one must not escape a check."""
        transforms = copy.deepcopy(self._transforms)
        for transform in transforms:
            transform.p = 1.0
        return Augment(transforms)


def build(specifications: Sequence[Specification]) -> Augment:
    """The augmentations of a recipe's `data.augment`, in order. Raises RecipeError where `complaints` has any."""
    made = [_made(specification) for specification in specifications]
    wrong = [c.below("data", "augment", k) for k, one in enumerate(made) if isinstance(one, list) for c in one]
    if wrong:
        raise RecipeError("\n".join(f"{'.'.join(map(str, c.path))}: {c.message}" for c in wrong))
    return Augment(made)


def complaints(specifications: Sequence[Specification]) -> Iterator[ValidationIssue]:
    """What is wrong with names and arguments, each under its number in the list."""
    for k, specification in enumerate(specifications):
        made = _made(specification)
        if isinstance(made, list):
            yield from (complaint.below(k) for complaint in made)


def check(augment: Augment, size: int, scale: int) -> None:
    """Raises RecipeError where the augmentations tear lq and gt apart, as a random crop would."""
    augment = augment.always()
    numbers = np.arange(size * size, dtype=np.uint16).reshape(size, size, 1)
    lq = (np.concatenate([numbers % 251, numbers // 251, numbers % 7], axis=2)).astype(np.uint8)  # each pixel differs
    for seed in range(TRIES):
        try:
            turned, gt = augment(lq, _enlarged(lq, scale), seed)
        except (ValueError, KeyError, NotImplementedError) as error:
            raise RecipeError(f"data.augment: does not work on a tile of {size}: {error!r}") from None
        if turned.shape[:2] != (size, size) or not np.array_equal(gt, _enlarged(turned, scale)):
            raise RecipeError("data.augment: lq and gt no longer show the same place; use flips, turns, transposes")


def _enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    return image.repeat(scale, 0).repeat(scale, 1)


def _made(specification: Any) -> Any | list[ValidationIssue]:
    """The transform, or what is wrong with what was said of it."""
    if isinstance(specification, str):
        specification = {specification: {}}
    if not (isinstance(specification, Mapping) and len(specification) == 1):
        return [ValidationIssue((), f"give one name, or one name with its arguments; not {shown(specification)}")]
    ((name, arguments),) = specification.items()
    name = str(name)
    kind, wrong = _kind(name)
    if wrong:
        return [ValidationIssue((name,), wrong)]
    if not isinstance(arguments, Mapping | None):
        return [ValidationIssue((name,), f"must be a mapping of arguments, not {shown(arguments)}")]
    known = [argument for argument in inspect.signature(kind.__init__).parameters if argument != "self"]
    unknown = [str(argument) for argument in arguments or {} if argument not in known]
    if unknown:
        return [
            ValidationIssue((name, argument), f"unknown argument{name_hint(argument, known)}") for argument in unknown
        ]
    return _called(kind, name, dict(arguments or {}))


def _kind(name: str) -> tuple[Any, str]:
    """The class of a geometric transform, and why there is none; one of them is empty."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network at import
    import albumentations

    kind = getattr(albumentations, name, None)
    if isinstance(kind, type) and issubclass(kind, albumentations.DualTransform):
        return kind, ""
    if isinstance(kind, type) and issubclass(kind, albumentations.ImageOnlyTransform):
        return None, "changes how pixels look, and lq must stay what the task made of gt; take a geometric one"
    components = [getattr(albumentations, each) for each in dir(albumentations)]
    geometric = [t.__name__ for t in components if isinstance(t, type) and issubclass(t, albumentations.DualTransform)]
    hint = name_hint(name, geometric)
    return None, "albumentations has no geometric transform of that name" + (hint if hint.startswith(" (") else "")


def _called(kind: Any, name: str, arguments: dict[str, Any]) -> Any | list[ValidationIssue]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # albumentations only warns of what it then does not do
        try:
            return kind(**arguments)
        except (UserWarning, ValueError, TypeError) as error:
            if isinstance(error.__cause__, ValidationError):
                return [c.below(name) for c in from_error(error.__cause__, Options, arguments)]
            return [ValidationIssue((name,), " ".join(str(error).split()))]
