"""Claims about a folder of photographs as a data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lowvision import DataError
from lowvision.plugins.folder_dataset import Folder


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names(folder: Path, only: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    return [photo.name for photo in Folder(path=str(folder), only=only, exclude=exclude).photos()]


def test_all_images_below_a_folder_are_found_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.JPG", "deep/er/c.tiff", "d.webp", "e.bmp", "notes.txt", "clip.mp4")
    assert names(tmp_path) == ["a", "b", "d", "deep/er/c", "e"]
    assert Folder(path=str(tmp_path)).photos()[0].gt == tmp_path / "a.JPG"


def test_a_name_keeps_its_inner_dots(tmp_path: Path) -> None:
    assert names(touch(tmp_path, "a.v2.png", "a.png")) == ["a", "a.v2"]


def test_hidden_files_and_folders_do_not_count(tmp_path: Path) -> None:
    assert names(touch(tmp_path, "a.png", "._a.png", ".thumbnails/a.png")) == ["a"]


def test_only_and_exclude_choose_by_name_or_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "cat1.png", "cat2.png", "dog1.png", "sub/cat3.png")
    assert names(tmp_path, only=("cat*",)) == ["cat1", "cat2"]
    assert names(tmp_path, only=("*1",), exclude=("dog1",)) == ["cat1"]
    assert names(tmp_path, exclude=("sub/*", "dog?")) == ["cat1", "cat2"]


def test_names_are_told_apart_by_case(tmp_path: Path) -> None:
    assert names(touch(tmp_path, "Cat.png", "dog.png"), exclude=("cat",)) == ["Cat", "dog"]


def test_gt_and_lq_side_by_side_are_pairs_whatever_their_endings(tmp_path: Path) -> None:
    touch(tmp_path, "gt/a.png", "gt/in/b.png", "lq/a.jpg", "lq/in/b.png", "readme.png")
    photos = Folder(path=str(tmp_path)).photos()
    assert [(photo.name, photo.gt, photo.lq) for photo in photos] == [
        ("a", tmp_path / "gt/a.png", tmp_path / "lq/a.jpg"),
        ("in/b", tmp_path / "gt/in/b.png", tmp_path / "lq/in/b.png"),
    ]


def test_gt_without_lq_is_a_folder_like_any_other(tmp_path: Path) -> None:
    assert names(touch(tmp_path, "gt/a.png")) == ["gt/a"]


def test_images_without_a_partner_are_told_by_side_name_and_number(tmp_path: Path) -> None:
    touch(tmp_path, "gt/a.png", "gt/b.png", "lq/a.png", "lq/ax4.png", "lq/c.png", "lq/d.png")
    with pytest.raises(
        DataError, match=r"gt/ holds 2 images, lq/ 4; rename or remove .*: gt/b, lq/ax4, lq/c and 1 more"
    ):
        names(tmp_path)


def test_two_images_of_one_name_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: has the same name as a\.jpg; rename one"):
        names(touch(tmp_path, "a.jpg", "a.png"))


def test_a_missing_folder_and_an_empty_one_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        names(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no such folder"):
        names(touch(tmp_path / "files", "a.png") / "a.png")
    with pytest.raises(DataError, match=r"contains no images; give a folder with \.png"):
        names(touch(tmp_path / "empty", "notes.txt"))


def test_a_choice_that_leaves_nothing_tells_how_many_there_were(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of its 2 images passes `only` and `exclude`"):
        names(touch(tmp_path, "a.png", "b.png"), only=("z",))


def test_an_unknown_option_is_an_error() -> None:
    with pytest.raises(ValidationError, match="recursive"):
        Folder.model_validate({"path": ".", "recursive": True})
