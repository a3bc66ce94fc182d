"""Claims about the names of TIFF tags that are lost."""

from __future__ import annotations

from lowvision.imaging import tiff, tiff_tags


def test_tags_of_storage_and_kept_tags_are_not_lost() -> None:
    assert tiff_tags.lost([256, 257, 259, 274, 317, 339, 270, 700, 34675, 33723], tiff.KEPT) == ()


def test_a_kind_is_named_once_and_unknown_tags_by_number() -> None:
    tags = [65000, 34735, 33550, 37724, 256]
    assert tiff_tags.lost(tags, tiff.KEPT) == ("map coordinates", "layers", "tag 65000")


def test_at_most_five_names_are_listed() -> None:
    assert len(tiff_tags.lost(range(60000, 60100), frozenset())) == tiff_tags.MOST_NAMED
