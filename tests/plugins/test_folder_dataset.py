"""Claims about a folder of photographs as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from image_files import touch
from pydantic import ValidationError

from lowvision import DataError
from lowvision.plugins.folder_dataset import Folder


def names(folder: Path, only: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    return [photo.name for photo in Folder(path=str(folder), only=only, exclude=exclude).photos()]


def test_all_images_below_a_folder_are_found_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.JPG", "deep/er/c.tiff", "d.webp", "e.bmp", "notes.txt", "clip.mp4")
    assert names(tmp_path) == ["a", "b", "d", "deep/er/c", "e"]
    assert Folder(path=str(tmp_path)).photos()[0].gt == tmp_path / "a.JPG"


def test_a_name_keeps_its_inner_dots(tmp_path: Path) -> None:
    assert names(touch(tmp_path, "a.v2.png", "a.png")) == ["a", "a.v2"]


def test_hidden_files_and_folders_are_ignored(tmp_path: Path) -> None:
    assert names(touch(tmp_path, "a.png", "._a.png", ".thumbnails/a.png")) == ["a"]


def test_only_and_exclude_select_by_name_or_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "cat1.png", "cat2.png", "dog1.png", "sub/cat3.png")
    assert names(tmp_path, only=("cat*",)) == ["cat1", "cat2"]
    assert names(tmp_path, only=("*1",), exclude=("dog1",)) == ["cat1"]
    assert names(tmp_path, exclude=("sub/*", "dog?")) == ["cat1", "cat2"]


def test_names_are_case_sensitive(tmp_path: Path) -> None:
    assert names(touch(tmp_path, "Cat.png", "dog.png"), exclude=("cat",)) == ["Cat", "dog"]


def test_two_images_of_one_name_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: has the same name as a\.jpg; rename one"):
        names(touch(tmp_path, "a.jpg", "a.png"))


def test_a_missing_folder_and_an_empty_one_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        names(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"is a file; give the path of a folder"):
        names(touch(tmp_path / "files", "a.png") / "a.png")
    with pytest.raises(DataError, match=r"contains no images; give a folder with \.png"):
        names(touch(tmp_path / "empty", "notes.txt"))


def test_an_empty_selection_reports_the_number_of_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of its 2 images passes `only` and `exclude`"):
        names(touch(tmp_path, "a.png", "b.png"), only=("z",))


def test_an_unknown_option_is_an_error() -> None:
    with pytest.raises(ValidationError, match="recursive"):
        Folder.model_validate({"path": ".", "recursive": True})


def pairs(folder: Path, **options: Any) -> dict[str, tuple[str, str | None]]:
    """Return the pairs of a folder as relative paths: name -> (gt, lq)."""
    photos = Folder(path=str(folder), **options).photos()

    def inside(path: Path | None) -> str | None:
        return None if path is None else path.relative_to(folder).as_posix()

    return {photo.name: (inside(photo.gt) or "", inside(photo.lq)) for photo in photos}


def test_linked_folders_are_used_once(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "stored").mkdir()
    for name in ("set/a.png", "stored/b.png"):
        (tmp_path / name).touch()
    (tmp_path / "set" / "more").symlink_to(tmp_path / "stored")
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set")
    assert [photo.name for photo in Folder(path=str(tmp_path / "set")).photos()] == ["a", "more/b"]


@pytest.mark.parametrize("path", ["/", "/tmp/.."])
def test_the_file_system_root_is_refused_without_a_search(path: str) -> None:
    with pytest.raises(DataError, match="is the root of the file system; give the path of a folder of images"):
        Folder(path=path).photos()


def test_has_gt_false_reads_all_images_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "lq/0001x4.png", "gt/0001.png", "b.png")
    photos = Folder(path=str(tmp_path), has_gt=False).photos()
    assert [(photo.name, photo.gt, photo.lq) for photo in photos] == [
        ("b", None, tmp_path / "b.png"),
        ("gt/0001", None, tmp_path / "gt/0001.png"),
        ("lq/0001x4", None, tmp_path / "lq/0001x4.png"),
    ]


@pytest.mark.parametrize("option", ["gt", "lq"])
def test_has_gt_false_rejects_gt_and_lq_folders(option: str) -> None:
    with pytest.raises(ValidationError, match="omit gt and lq"):
        Folder.model_validate({"path": ".", "has_gt": False, option: "x"})
