"""Claims about walking through folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowvision.system import folders


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder: Path, **options: object) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folders.walk(folder, **options)]  # type: ignore[arg-type]


def test_files_are_sorted_and_hidden_folders_skipped(tmp_path: Path) -> None:
    write(tmp_path, "b.png", "a/c.png", ".hidden/d.png", "a.png")
    assert names(tmp_path) == ["a.png", "b.png", "a/c.png"]
    assert names(tmp_path, depth=1) == ["a.png", "b.png"]


def test_linked_folders_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path, "all/a.png", "elsewhere/b.png")
    (tmp_path / "all" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "all" / "zlink").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "all")
    (tmp_path / "all" / "itself").symlink_to(tmp_path / "all" / "itself")
    assert names(tmp_path / "all") == ["a.png", "itself", "link/b.png"]


def test_an_excluded_folder_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "results/b.png")
    assert names(tmp_path, left_out=str((tmp_path / "results").resolve())) == ["a.png"]


def test_only_the_file_system_root_is_a_root(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    assert folders.is_root(Path("/"))
    assert folders.is_root(tmp_path / "link")
    assert not folders.is_root(tmp_path)
    assert not folders.is_root(Path())


def test_a_folder_that_is_missing_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        names(tmp_path / "missing")
