"""Claims about which inputs are clips, and about ranges of frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowvision.errors import UsageError
from lowvision.video.selection import Span, is_clip, is_sequence, parse_span, sequence_files


@given(st.integers(0, 10**6), st.none() | st.integers(1, 10**6))
def test_a_range_is_read_as_it_is_written_and_never_empty(first: int, length: int | None) -> None:
    span = Span(first, None if length is None else first + length)
    assert parse_span(str(span)) == span


def test_either_side_may_be_empty() -> None:
    assert parse_span(":") == Span()
    assert parse_span(":5") == Span(0, 5)
    assert parse_span("5:") == Span(5)


@pytest.mark.parametrize("text", ["", "5", "a:b", "-1:5", "1:2:3", "1.5:2", " 1:2", "1:2\n", f"0:{'9' * 5000}"])
def test_another_text_is_an_error_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="is no range of frames; write FIRST:STOP, e\\.g\\. 0:250"):
        parse_span(text)


@pytest.mark.parametrize("text", ["3:3", "4:2", ":0"])
def test_a_range_without_frames_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match=f"--frames {text}: has no frames; STOP must be larger than FIRST"):
        parse_span(text)


@pytest.mark.parametrize("path", ["frames/%05d.png", "%d.tif", "a_%3d_b.png"])
def test_a_name_with_a_number_is_a_sequence_and_a_clip(path: str) -> None:
    assert is_sequence(path)
    assert is_clip(path)


@pytest.mark.parametrize("path", ["%05d/a.png", "100%.png", "a.png", "mp4"])
def test_other_names_are_neither(path: str) -> None:
    assert not is_sequence(path)
    assert not is_clip(path)


@pytest.mark.parametrize("path", ["a.mp4", "A.MOV", "b.y4m", "*.webm"])
def test_clips_are_recognised_by_their_ending_in_any_case(path: str) -> None:
    assert is_clip(path)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pattern=st.sampled_from(["%d.png", "in_%03d.png", "a.b(%5d).tif", "50%%_%02d_x.png"]),
    numbers=st.sets(st.integers(0, 9999), max_size=4),
)
def test_the_files_of_a_sequence_are_those_that_its_pattern_writes(
    pattern: str, numbers: set[int], tmp_path: Path
) -> None:
    folder = tmp_path / pattern
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    names = {(pattern % number).replace(" ", "0") for number in numbers}
    for name in (*names, "other.png", "in_1.png.bak", "aXb(00001).tif", "out_in_1.png"):
        (folder / name).write_bytes(b"")
    assert {path.name for path in sequence_files(folder / pattern)} == names
