"""Reducers: fewer channels and fewer layers, as in the ClassSR paper, and fusion of training forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lowvision import Backbone, Reducer, hookimpl

if TYPE_CHECKING:
    from torch import nn


class Channels(Reducer):
    """The backbone with fewer feature channels; a level is their number."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        return set_smaller(backbone, "channels", level)

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        from lowvision_reducers.slices import inherit_weights

        return inherit_weights(larger, smaller)


class Layers(Reducer):
    """The backbone with fewer layers; a level is their number. The backbone defines what a layer is."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        return set_smaller(backbone, "layers", level)

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        from lowvision_reducers.slices import inherit_weights

        return inherit_weights(larger, smaller)


class Reparam(Reducer):
    """The backbone in the form that is used after training, with equal output; levels: `fused` or `parallel`."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        name, fused = type(backbone).__name__, backbone.fuse()
        if fused is None:
            raise ValueError(f"{name} has no training form that could be fused")
        if level not in ("fused", "parallel"):
            raise ValueError(f"the level must be fused or parallel, not {level!r}")
        if level == "parallel" and fused == backbone:
            raise ValueError(f"this {name} is fused already; a reducer only makes a backbone smaller")
        return fused if level == "fused" else backbone

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        from lowvision.layers import fuse

        return fuse(larger, smaller)


def set_smaller(backbone: Backbone, option: str, level: int | float | str) -> Backbone:
    """Return the backbone with `option` set to `level`, which is at most the current value.

    If the backbone has no such option but wraps another backbone, the wrapped one is reduced. Raises ValueError if no
    backbone has the option, if the level is larger than the current value, and (as pydantic's ValidationError) if the
    backbone's validators reject it.
    """
    name = type(backbone).__name__
    if option not in type(backbone).model_fields:
        wrapped = {field: inner for field, inner in backbone if isinstance(inner, Backbone)}
        if wrapped:
            return backbone.replace(**{field: set_smaller(inner, option, level) for field, inner in wrapped.items()})
        options = ", ".join(type(backbone).model_fields) or "none"
        raise ValueError(f"{name} has no option '{option}' to reduce; its options are {options}")
    if type(level) is not int or level < 1:  # not isinstance: True is an int too
        raise ValueError(f"{option} must be a whole number, at least 1, not {level!r}")
    current = getattr(backbone, option)
    if level > current:
        raise ValueError(f"{name} has {current} {option}, not {level}; a reducer only makes a backbone smaller")
    return backbone.replace(**{option: level})


@hookimpl
def lowvision_reducers() -> Mapping[str, type[Reducer]]:
    return {"channels": Channels, "layers": Layers, "reparam": Reparam}
