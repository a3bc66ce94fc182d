"""The name of a photograph stays below the folder in which a report keeps its pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowvision import DataError, Photo


@pytest.mark.parametrize("name", ["/data/one", "../one", "set/../../one", "", "."])
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"its name must be a relative path without '\.\.'; rename it"):
        Photo(name, Path("one.png"))


@pytest.mark.parametrize("name", ["one", "set/one", "one..two", "a b.png"])
def test_any_other_name_is_kept(name: str) -> None:
    assert Photo(name, Path("one.png")).name == name
