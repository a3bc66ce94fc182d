"""External text cannot control the terminal, and printable text is unchanged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lowvision.system.printable import printable, printable_lines


def test_escape_codes_line_breaks_and_undecodable_bytes_are_shown() -> None:
    assert printable("\x1b]0;owned\x07a\nb\udcff") == r"\x1b]0;owned\x07a\nb\udcff"
    assert printable_lines("\x1b[31ma\nb\r") == "\\x1b[31ma\nb\\r"
    assert printable("\u202ereversed") == r"\u202ereversed"


@given(st.text(st.characters() | st.characters(categories=["Cs", "Cc", "Cf"])))
def test_the_result_is_one_printable_line_that_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert shown == text or not text.isprintable()
