"""Claims about the split of a folder into photographs for training, calibration and report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.commands.accelerate import split as splitting
from lowvision.commands.accelerate.planning import escaped
from lowvision.commands.accelerate.split import MOST_HELD_OUT, MOST_TRAIN, split
from lowvision.errors import DataError
from lowvision.plugins import folder_dataset


@given(st.integers(3, 300))
def test_the_parts_are_disjoint_and_not_empty(count: int) -> None:
    names = [f"{n}.v[{n}]" for n in range(count)]
    parts = split(names)
    all_names = [*parts.train, *parts.valid, *parts.test]
    assert len(set(all_names)) == len(all_names)
    assert set(all_names) <= set(names)
    assert 1 <= len(parts.valid) == len(parts.test) <= MOST_HELD_OUT
    assert 1 <= len(parts.train) <= MOST_TRAIN
    assert len(parts.train) >= len(parts.test)


def test_five_photographs_are_accepted_and_two_are_refused() -> None:
    assert [len(part) for part in (split("abcde").train, split("abcde").valid)] == [3, 1]
    with pytest.raises(DataError, match="2 usable photographs; give at least 3"):
        split("ab")


def test_the_split_does_not_depend_on_the_order_of_names() -> None:
    assert split("abcdefgh") == split("hgfedcba")


@given(st.text(alphabet="ab*?[]!-", min_size=1, max_size=6), st.text(alphabet="ab*?[]!-", min_size=1, max_size=6))
def test_an_escaped_name_selects_only_itself(name: str, other: str) -> None:
    assert folder_dataset._matches(name, (escaped(name),))
    assert folder_dataset._matches(other, (escaped(name),)) == (other == name)


def test_the_number_of_training_photographs_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "MOST_TRAIN", 2)
    assert len(split([str(n) for n in range(50)]).train) == 2
