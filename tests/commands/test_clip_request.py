"""Claims about clips among the inputs of `lowvision restore`: which they are, and where their results go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lowvision.commands import clip_request
from lowvision.errors import UsageError
from lowvision.video.selection import Span


def test_images_and_clips_in_one_command_are_refused() -> None:
    with pytest.raises(UsageError, match=r"b\.png: images and clips"):
        clip_request.selects_clips(["a.mp4", "b.png"])
    assert clip_request.selects_clips(["a.MKV"])
    assert not clip_request.selects_clips(["b.png"])


@pytest.mark.parametrize("text", ["5", "a:b", "3:3", "4:2"])
def test_a_range_without_frames_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--frames"):
        clip_request.frames_of_clips(text, clips=True)


@pytest.fixture
def clip_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with three clips and another file; none of them is opened."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b.MPG", "c.avi", "d.txt"):
        Path(name).write_bytes(b"")
    return tmp_path


def results(*arguments: Any, **more: Any) -> dict[str, str]:
    return {str(each.path): str(each.result) for each in clip_request.plan(*arguments, **more)}


def test_results_keep_the_ending_if_it_can_be_written(clip_files: Path) -> None:
    assert results(["a.mp4", "b.MPG"], Path("out")) == {"a.mp4": "out/a.mp4", "b.MPG": "out/b.mkv"}
    assert results(["c.avi"], Path("out"), suffix="_x2") == {"c.avi": "out/c_x2.avi"}


def test_a_pattern_selects_clips_alone_in_a_stable_order(clip_files: Path) -> None:
    assert list(results(["*"], Path("out"))) == ["a.mp4", "b.MPG", "c.avi"]
    with pytest.raises(UsageError, match=r"^\*\.webm: no such clip"):
        clip_request.plan(["*.webm"], Path("out"))


def test_one_clip_may_name_its_result_and_several_need_a_folder(clip_files: Path) -> None:
    assert results(["a.mp4"], Path("x.mkv")) == {"a.mp4": "x.mkv"}
    with pytest.raises(UsageError, match=r"^x\.mkv: names a file, but there are several clips; give a folder"):
        clip_request.plan(["a.mp4", "c.avi"], Path("x.mkv"))
    Path("folder.mkv").mkdir()
    assert results(["a.mp4", "c.avi"], Path("folder.mkv"))["c.avi"] == "folder.mkv/c.avi"


def test_an_image_sequence_becomes_a_clip(clip_files: Path) -> None:
    assert results(["in/%05d.png"], Path("out")) == {"in/%05d.png": "out/%05d.mp4"}


@pytest.mark.parametrize("output", ["", "link"])
def test_a_result_that_would_replace_a_clip_is_refused(clip_files: Path, output: str) -> None:
    Path("link").symlink_to(clip_files)
    with pytest.raises(UsageError, match=r"^a\.mp4: its result .*a\.mp4 would replace a clip; give another -o"):
        clip_request.plan(["a.mp4"], Path(output))


def test_two_clips_of_one_name_would_replace_each_other(clip_files: Path) -> None:
    Path("more").mkdir()
    Path("more/a.mp4").write_bytes(b"")
    with pytest.raises(UsageError, match=r"^more/a\.mp4: its result out/a\.mp4 would replace a clip"):
        clip_request.plan(["a.mp4", "more/a.mp4"], Path("out"))


def test_a_folder_with_the_ending_of_clips_is_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    assert not clip_request.selects_clips([str(tmp_path / "folder.mp4")])


def test_frames_are_ranges_for_clips_and_words_for_images() -> None:
    assert clip_request.frames_of_clips("first", clips=True) == Span(0, 1)
    assert clip_request.frames_of_clips("10:", clips=True) == Span(10, None)
    assert clip_request.frames_of_clips("first", clips=False) == clip_request.frames_of_clips("all", clips=True)
    with pytest.raises(UsageError, match="--frames 0:5: ranges are for clips; give all or first for images"):
        clip_request.frames_of_clips("0:5", clips=False)
