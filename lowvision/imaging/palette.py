"""The colours of difficulty: one for each class, calm where it is simple and warm where it is hard."""

from __future__ import annotations

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

ANCHORS: tuple[Colour, ...] = ((49, 116, 178), (94, 186, 194), (246, 211, 88), (240, 138, 58), (205, 48, 44))
"""Blue, teal, yellow, orange, red: a diverging order that red-green blindness leaves in order."""


def colours(classes: int) -> tuple[Colour, ...]:
    """One colour a class, from simple to hard, evenly spread over the sequence."""
    return tuple(_at(k / max(classes - 1, 1)) for k in range(classes))


def hexadecimal(colour: Colour) -> str:
    """A colour as pages write it, `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _at(place: float) -> Colour:
    """The colour at a place from 0 to 1, between its two nearest anchors."""
    below = min(int(place * (len(ANCHORS) - 1)), len(ANCHORS) - 2)
    weight = place * (len(ANCHORS) - 1) - below
    red, green, blue = (round(a + weight * (b - a)) for a, b in zip(ANCHORS[below], ANCHORS[below + 1], strict=True))
    return red, green, blue
