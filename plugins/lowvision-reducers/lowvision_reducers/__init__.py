"""The two knobs of the paper: fewer channels, fewer layers. The smallest plugin; start reading here."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from lowvision import Backbone, Reducer, hookimpl


class Channels(Reducer):
    """The backbone with fewer feature channels; a level is their number."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        return turned_down(backbone, "channels", level)


class Layers(Reducer):
    """The backbone with fewer layers; a level is their number, in whatever the backbone counts as layers."""

    def reduce(self, backbone: Backbone, level: int | float | str) -> Backbone:
        return turned_down(backbone, "layers", level)


def turned_down(backbone: Backbone, knob: str, level: int | float | str) -> Backbone:
    """The backbone with its option `knob` set to `level`. Raises ValueError where that is not a smaller backbone."""
    name = type(backbone).__name__
    if knob not in type(backbone).model_fields:
        knobs = ", ".join(type(backbone).model_fields)
        raise ValueError(f"{name} has no option '{knob}' to turn down; its options are {knobs}")
    if type(level) is not int or level < 1:
        raise ValueError(f"{knob}: {level!r} is not a level; give a whole number of {knob}, at least 1")
    present = getattr(backbone, knob)
    if level > present:
        raise ValueError(f"{knob}: {level} is more than the {present} of {name}; a reducer only makes smaller")
    try:
        return backbone.replace(**{knob: level})
    except ValidationError as error:
        reasons = "; ".join(complaint["msg"].removeprefix("Value error, ") for complaint in error.errors())
        raise ValueError(f"{knob}: {level} does not suit {name}: {reasons}") from error


@hookimpl
def lowvision_reducers() -> Mapping[str, type[Reducer]]:
    return {"channels": Channels, "layers": Layers}
