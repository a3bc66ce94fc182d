"""Colours by name."""

from __future__ import annotations

from PIL import ImageColor

from lowvision.errors import UsageError


def parse(name: str) -> tuple[int, int, int]:
    """Return red, green and blue, 0..255, of a CSS colour: a name or `#rrggbb`. Raises UsageError."""
    try:
        red, green, blue, *_ = ImageColor.getrgb(name)
    except ValueError:
        raise UsageError(f"'{name}' is not a colour; give a name such as white, or #rrggbb") from None
    return red, green, blue
