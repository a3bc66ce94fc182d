"""Claims about the report of fidelity as a page."""

from __future__ import annotations

import base64
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.imaging import io
from lowvision.report import fidelity_page
from lowvision.report.fidelity_page import MAX_COMPARED, Picture
from report.test_page import Checker, read

HEADING = ["", "seconds"]
ROWS = [["teacher", "8.00"], ["--max-loss 0.3 *", "2.00"], ["--max-loss 0.1", "4.00"]]
TEXT = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
"""Visible characters; a parser of HTML changes control characters."""


def picture(name: str, channels: int = 3) -> Picture:
    """Return a photograph whose input is dark, its teacher grey and its routed image bright."""
    return Picture(name, *(torch.full((channels, 10, 20), level) for level in (0.2, 0.5, 0.8)))


def page(names: list[str], worst: torch.Tensor | None = None) -> str:
    return fidelity_page.html([HEADING, *ROWS], 1, ["two threads"], [picture(name) for name in names], worst)


def levels(checker: Checker) -> list[float]:
    """Return the mean level of each picture of a page, in [0,1], rounded to tenths."""
    contents = [base64.b64decode(source.partition(",")[2]) for source in checker.sources]
    return [round(float(io.to_tensor(io.decode(content, "page.jpg").pixels).mean()), 1) for content in contents]


def test_a_photograph_is_compared_with_its_teacher_and_then_with_its_input() -> None:
    content = page(["bird"])
    checker = read(content)
    assert levels(checker) == [0.5, 0.8, 0.2, 0.8]
    assert re.findall(r"(\w+) on the left, (\w+) on the right</fig", content) == [
        ("teacher", "accelerated"),
        ("input", "accelerated"),
    ]


def test_the_page_loads_nothing_from_elsewhere() -> None:
    content = page(["bird", "tree"], torch.full((3, 40, 30), 0.4))
    checker = read(content)
    assert len(checker.sources) == 2 * 4 + 1
    assert all(source.startswith("data:image/jpeg;base64,") for source in checker.sources)
    assert "http" not in content
    assert (checker.seen.count("script"), checker.seen.count("style")) == (1, 1)


@pytest.mark.parametrize("number", range(3))
def test_only_the_row_of_the_requested_point_is_highlighted(number: int) -> None:
    content = fidelity_page.html([HEADING, *ROWS], number, [], [], None)
    assert re.findall(r'<tr class="routed"><td>(.*?)</td>', content) == [ROWS[number][0]]


def test_the_first_row_is_the_heading() -> None:
    content = page([])
    assert re.findall("<th>(.*?)</th>", content) == HEADING
    assert re.findall("<td>(.*?)</td>", content) == [cell for row in ROWS for cell in row]


def test_the_worst_tiles_have_a_section_only_if_they_were_drawn() -> None:
    assert "Worst tiles" not in page(["bird"])
    drawn = page(["bird"], torch.full((3, 40, 30), 0.4))
    assert "Worst tiles" in drawn
    assert levels(read(drawn))[-1] == 0.4


def test_a_limited_number_of_photographs_is_shown() -> None:
    content = page([f"photo {n}" for n in range(MAX_COMPARED + 1)])
    assert re.findall(r"<h3>photo (\d+)</h3>", content) == [str(n) for n in range(MAX_COMPARED)]


def test_grey_photographs_are_shown() -> None:
    content = fidelity_page.html([HEADING, *ROWS], 1, [], [picture("grey", 1)], None)
    assert levels(read(content)) == [0.5, 0.8, 0.2, 0.8]


@settings(max_examples=30, deadline=None)
@given(cell=TEXT, note=TEXT, name=TEXT)
def test_every_text_is_shown_literally(cell: str, note: str, name: str) -> None:
    content = fidelity_page.html([["", cell], ["teacher", cell]], 0, [note], [picture(name)], None)
    checker = read(content)
    assert [checker.text.count(each) >= least for each, least in ((cell, 2), (note, 1), (name, 1))] == [True] * 3
    assert checker.seen.count("script") == 1
