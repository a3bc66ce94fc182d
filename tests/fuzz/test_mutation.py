"""A seed gives the same mutation every time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fuzz.mutation import mutated


@given(st.binary(max_size=50), st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_mutation(content: bytes, seed: int) -> None:
    assert mutated(content, seed) == mutated(content, seed)
