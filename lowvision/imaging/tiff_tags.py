"""Name the TIFF tags that a restored file does not keep: map coordinates, layers, and tags of unknown meaning.

Sources: TIFF 6.0; OGC GeoTIFF 1.1, annex B; Adobe Photoshop TIFF technical notes.
"""

from __future__ import annotations

from collections.abc import Iterable

STORAGE = frozenset({*range(254, 269), 273, 274, *range(277, 282), 284, *range(288, 294), 317, *range(320, 328)}) | {
    *range(328, 344),
    347,
    *range(512, 533),
    *range(32995, 33000),
}
"""Tags that describe how pixels are stored; a result gets its own."""
NAMES = {
    **dict.fromkeys((33550, 33922, 34264, 34735, 34736, 34737, 42113), "map coordinates"),
    **dict.fromkeys((50838, 50839), "tags of ImageJ"),
    **dict.fromkeys((301, 318, 319), "transfer function and primaries"),
    37724: "layers",
    42112: "tags of GDAL",
}
MOST_NAMED = 5


def lost(present: Iterable[int], kept: frozenset[int]) -> tuple[str, ...]:
    """Return names of the tags of a page that are neither kept nor about storage, e.g. `("map coordinates",)`."""
    names = (NAMES.get(tag, f"tag {tag}") for tag in sorted(present) if tag not in STORAGE | kept)
    return tuple(dict.fromkeys(names))[:MOST_NAMED]
