"""Augmentations by albumentations' names, drawn from the item's own seed, the same for lq and gt."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lowvision.errors import RecipeError

Augment = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""(lq, gt, seed) -> (lq, gt), arrays (H,W,C)."""


def build(specifications: Sequence[str | Mapping[str, Any]]) -> Augment:
    """The augmentations of a recipe's `data.augment`, in order. Raises RecipeError for unknown names or arguments."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network at import
    import albumentations

    transforms = [_transform(albumentations, specification) for specification in specifications]
    # lq and gt differ in size by the scale, on purpose.
    compose = albumentations.Compose(transforms, additional_targets={"gt": "image"}, is_check_shapes=False)

    def augment(lq: np.ndarray, gt: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        compose.set_random_seed(seed)
        both = compose(image=lq, gt=gt)
        return both["image"], both["gt"]

    return augment


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
