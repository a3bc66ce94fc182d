"""Claims about the cells of text tables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lowvision.system.text_table import aligned

CELLS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=9)
ROWS = st.integers(1, 5).flatmap(
    lambda columns: st.lists(st.lists(CELLS, min_size=columns, max_size=columns), min_size=1)
)


def test_cells_are_flush_left_by_default() -> None:
    assert aligned([["name", "type"], ["n", "text"]]) == ["name  type", "n     text"]


def test_numbers_are_flush_right_below_a_ruled_heading() -> None:
    assert aligned([["", "dB"], ["base", "27.38"]], numeric=True, heading=1) == [
        "         dB",
        "───────────",
        "base  27.38",
    ]


def test_a_table_without_rows_is_empty() -> None:
    assert aligned([]) == []


@given(ROWS)
def test_numeric_columns_are_right_aligned_and_keep_their_cells(rows: list[list[str]]) -> None:
    lines = aligned(rows, numeric=True)
    assert [line.split() for line in lines] == rows
    if len(rows[0]) > 1:
        assert len({len(line) for line in lines}) == 1
