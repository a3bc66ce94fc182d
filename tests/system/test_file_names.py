"""Claims about lengths of file names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.system.file_names import too_long


@given(st.text(alphabet="aé猫", min_size=1, max_size=300))
def test_a_name_is_too_long_exactly_above_255_bytes(name: str) -> None:
    issue = too_long(Path("folder", name, "file.png"))
    assert bool(issue) == (len(name.encode()) > 255)
    if issue:
        assert f"has {len(name.encode())} bytes" in issue
        assert len(issue) < 100


@pytest.mark.parametrize("path", [Path("a" * 255), Path("/".join(["a" * 200] * 20))])
def test_a_deep_path_of_short_names_is_fine(path: Path) -> None:
    assert too_long(path) == ""


def test_a_name_that_the_file_system_accepts_is_written_and_a_longer_one_is_not(tmp_path: Path) -> None:
    (tmp_path / ("a" * 255)).write_bytes(b"")
    assert too_long(tmp_path / ("a" * 256))
    with pytest.raises(OSError, match="too long"):
        (tmp_path / ("a" * 256)).write_bytes(b"")
