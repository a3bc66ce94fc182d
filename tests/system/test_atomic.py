"""Claims about files that are written completely or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lowvision.system import atomic
from lowvision.system.atomic import whole


def test_a_file_appears_when_complete_and_folders_are_created(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with whole(path) as part:
        part.write_text("all of it")
        assert not path.exists()
        assert part.parent == path.parent  # the same disk
    assert path.read_text() == "all of it"
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_failed_write_leaves_the_old_file_and_no_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole(path) as part:
        part.write_text("half" + str(1 / part.write_text("")))  # raises when there is a part already
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_written_files_have_the_default_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with whole(tmp_path / "made") as part:
        part.touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "made")]
    assert modes[0] == modes[1]


def test_concurrent_writers_of_one_file_do_not_conflict(tmp_path: Path) -> None:
    def write(n: int) -> None:
        with whole(tmp_path / "file.txt") as part:
            part.write_text(str(n) * 9)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    assert (tmp_path / "file.txt").read_text() in {str(n) * 9 for n in range(8)}
    assert os.listdir(tmp_path) == ["file.txt"]


def test_the_next_writer_removes_partial_files_of_a_killed_one(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    of_ended, of_living, of_another = (
        f".a.png.{machine}-{process}-1.part"
        for machine, process in ((atomic.MACHINE, ended.pid), (atomic.MACHINE, os.getpid()), ("0" * 8, ended.pid))
    )
    for name in (of_living, of_another, ".mine.part", "a.part"):
        (tmp_path / name).touch()
    (tmp_path / of_ended).touch()
    (tmp_path / of_ended.replace("-1.", "-2.")).mkdir()
    (tmp_path / of_ended.replace("-1.", "-2.") / "graph.onnx").touch()
    for _ in range(2):
        with whole(tmp_path / "b.png") as part:
            part.touch()
    assert set(os.listdir(tmp_path)) == {of_living, of_another, ".mine.part", "a.part", "b.png"}


def test_a_folder_is_scanned_once_for_any_number_of_files(tmp_path: Path, monkeypatch) -> None:
    searched: list[Path] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: searched.append(path) or scandir(path))
    for n in range(20):
        with whole(tmp_path / f"{n}.png") as part:
            part.touch()
    assert searched.count(tmp_path) == 1
