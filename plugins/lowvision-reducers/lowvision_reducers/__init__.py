"""The two knobs of the paper, fewer channels and fewer layers, and parallel kernels fused. Start reading here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lowvision import Backbone, Reducer, hookimpl

if TYPE_CHECKING:
    from torch import nn


class Channels(Reducer):
    """The backbone with fewer feature channels; a level is their number."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        return turned_down(backbone, "channels", level)

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        from lowvision_reducers.slices import hand_down

        return hand_down(larger, smaller)


class Layers(Reducer):
    """The backbone with fewer layers; a level is their number, in whatever the backbone counts as layers."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        return turned_down(backbone, "layers", level)

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        from lowvision_reducers.slices import hand_down

        return hand_down(larger, smaller)


class Reparam(Reducer):
    """The backbone with its parallel convolutions added up into one each, which computes the same; levels are words."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        name, fused = type(backbone).__name__, backbone.fuse()
        if fused is None:
            raise ValueError(f"{name} has no parallel convolutions that could be fused")
        if level not in ("fused", "parallel"):
            raise ValueError(f"give the word fused or parallel, not {level!r}")
        if level == "parallel" and fused == backbone:
            raise ValueError(f"this {name} is fused already; a reducer only makes smaller")
        return fused if level == "fused" else backbone

    def inherit(self, larger: nn.Module, smaller: nn.Module) -> bool:
        from lowvision_reducers.fusing import fuse

        return fuse(larger, smaller)


def turned_down(backbone: Backbone, knob: str, level: int | float | str) -> Backbone:
    """The backbone with its option `knob` set to `level`; at the present level, the same backbone.

    One that has no such option, but holds another backbone in its options, has that one turned down.
    Raises ValueError where there is no such knob, where the level would not make it smaller, and (as pydantic's
    ValidationError) where the backbone's own laws forbid it.
    """
    name = type(backbone).__name__
    if knob not in type(backbone).model_fields:
        held = {option: inner for option, inner in backbone if isinstance(inner, Backbone)}
        if held:
            return backbone.replace(**{option: turned_down(inner, knob, level) for option, inner in held.items()})
        options = ", ".join(type(backbone).model_fields) or "none"
        raise ValueError(f"{name} has no option '{knob}' to turn down; its options are {options}")
    if type(level) is not int or level < 1:  # not isinstance: True is an int too
        raise ValueError(f"give a whole number of {knob}, at least 1, not {level!r}")
    present = getattr(backbone, knob)
    if level > present:
        raise ValueError(f"{name} has {present} {knob}, not {level}; a reducer only makes smaller")
    return backbone.replace(**{knob: level})


@hookimpl
def lowvision_reducers() -> Mapping[str, type[Reducer]]:
    return {"channels": Channels, "layers": Layers, "reparam": Reparam}
