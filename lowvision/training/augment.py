"""Augmentations by albumentations' names, drawn from the item's own seed, the same for lq and gt."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lowvision.errors import RecipeError


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


def build(specifications: Sequence[str | Mapping[str, Any]]) -> Augment:
    """The augmentations of a recipe's `data.augment`, in order. Raises RecipeError for unknown names or arguments."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network at import
    import albumentations

    return Augment([_transform(albumentations, specification) for specification in specifications])


def check(augment: Augment, size: int, scale: int) -> None:
    """Raises RecipeError where the augmentations tear lq and gt apart, as a random crop would."""
    numbers = np.arange(size * size, dtype=np.uint16).reshape(size, size, 1)
    lq = (np.concatenate([numbers % 251, numbers // 251, numbers % 7], axis=2)).astype(np.uint8)  # each pixel differs
    for seed in range(16):
        try:
            turned, gt = augment(lq, _enlarged(lq, scale), seed)
        except ValueError as error:
            raise RecipeError(f"data.augment: does not work on a tile of {size}: {error}") from None
        if turned.shape[:2] != (size, size) or not np.array_equal(gt, _enlarged(turned, scale)):
            raise RecipeError("data.augment: lq and gt no longer show the same place; use flips, turns, transposes")


def _enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    return image.repeat(scale, 0).repeat(scale, 1)


def _transform(albumentations: Any, specification: str | Mapping[str, Any]) -> Any:
    if isinstance(specification, str):
        specification = {specification: {}}
    if len(specification) != 1:
        raise RecipeError(f"data.augment: give one name, or one name with its arguments, not {dict(specification)}")
    ((name, arguments),) = specification.items()
    kind = getattr(albumentations, name, None)
    if not (isinstance(kind, type) and issubclass(kind, albumentations.DualTransform)):
        names = [n for n in dir(albumentations) if n[0].isupper()]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise RecipeError(f"data.augment: albumentations has no geometric transform '{name}'{hint}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # albumentations only warns of an unknown argument
        try:
            return kind(**(arguments or {}))
        except (UserWarning, ValueError, TypeError) as error:
            raise RecipeError(f"data.augment: {name}: {error}") from None
