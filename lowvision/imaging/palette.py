"""Colours of the classes in route maps, from blue (easy) to red (hard)."""

from __future__ import annotations

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

ANCHORS: tuple[Colour, ...] = ((49, 116, 178), (94, 186, 194), (246, 211, 88), (240, 138, 58), (205, 48, 44))
"""Blue, teal, yellow, orange, red: a sequence that keeps its order in red-green blindness."""


def colours(classes: int) -> tuple[Colour, ...]:
    """Return one colour per class, from easy to hard, evenly spaced in the sequence."""
    return tuple(_at(k / max(classes - 1, 1)) for k in range(classes))


def hexadecimal(colour: Colour) -> str:
    """Return a colour as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _at(position: float) -> Colour:
    """Return the colour at a position in 0..1, interpolated between the two nearest anchors."""
    below = min(int(position * (len(ANCHORS) - 1)), len(ANCHORS) - 2)
    weight = position * (len(ANCHORS) - 1) - below
    red, green, blue = (round(a + weight * (b - a)) for a, b in zip(ANCHORS[below], ANCHORS[below + 1], strict=True))
    return red, green, blue
