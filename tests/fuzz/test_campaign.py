"""A short campaign: every mutated input gives a result or one clear message."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz import campaign
from fuzz.mutation import mutated

KINDS = ["weights", "headers", "recipes", "packages", "checkpoints", "metrics"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory by /proc")
def test_no_mutated_input_gives_a_traceback_a_hang_or_a_crash(tmp_path: Path) -> None:
    counts, failures = campaign.run(KINDS, first_seed=0, seconds=15, folder=tmp_path)
    assert failures == []
    assert min(counts.values()) > 0


@given(st.binary(max_size=50), st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_mutation(content: bytes, seed: int) -> None:
    assert mutated(content, seed) == mutated(content, seed)
