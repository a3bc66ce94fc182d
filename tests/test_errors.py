"""Claims about exceptions as one line of text."""

from __future__ import annotations

from lowvision.errors import message_of, summary_of


def test_a_multi_line_message_becomes_one_line() -> None:
    assert message_of(ValueError("one\n  two\tthree ")) == "one two three"
    assert summary_of(ValueError("one\n  two")) == "ValueError: one two"


def test_an_exception_without_message_is_shown_as_its_type() -> None:
    assert message_of(KeyboardInterrupt()) == ""
    assert summary_of(KeyboardInterrupt()) == "KeyboardInterrupt:"
