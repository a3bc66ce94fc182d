"""Claims about shortening inputs that fail."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fuzz.minimise import minimised


@given(st.binary(max_size=60), st.binary(min_size=1, max_size=4), st.binary(max_size=60))
def test_an_input_is_reduced_to_the_bytes_that_cause_the_failure(before: bytes, cause: bytes, after: bytes) -> None:
    assert minimised(before + cause + after, lambda content: cause in content) == cause


def test_without_time_the_input_is_returned_unchanged() -> None:
    assert minimised(b"abc", lambda content: True, seconds=0) == b"abc"
