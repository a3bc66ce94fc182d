"""Claims about the images that a command's arguments select, and the paths of their results."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from lowvision.commands.inputs import Input, plan
from lowvision.errors import UsageError

TREE = ("b.png", "a.JPG", "sub/c.tif", "sub/deeper/d x.webp", "süß/é.bmp", "notes.txt", ".hidden.png", ".thumbs/e.png")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write nested folders of images, and change to their parent folder."""
    monkeypatch.chdir(tmp_path)
    for name in TREE:
        path = Path("photos", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Path("photos")


def results(*arguments: str, output: str = "out", **more: str | bool) -> list[str]:
    return [item.result.as_posix() for item in plan(arguments, Path(output), **more)]  # type: ignore[arg-type]  # by name


def test_a_folder_is_mirrored_with_all_its_images_in_a_stable_order(photos: Path) -> None:
    assert plan(["photos"], Path("out")) == tuple(
        Input(photos / name, Path("out") / name)
        for name in ("a.JPG", "b.png", "sub/c.tif", "sub/deeper/d x.webp", "süß/é.bmp")
    )


def test_results_of_files_keep_their_names_in_the_folder(photos: Path) -> None:
    assert results("photos/sub/c.tif", "photos/b.png") == ["out/c.tif", "out/b.png"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos/*.png", ["out/b.png"]),
        ("photos/**/*", ["out/a.JPG", "out/b.png", "out/sub/c.tif", "out/sub/deeper/d x.webp", "out/süß/é.bmp"]),
        ("photos/s*/?.[bt]*", ["out/sub/c.tif", "out/süß/é.bmp"]),
        ("photos/sub/**/d*", ["out/deeper/d x.webp"]),
    ],
)
def test_a_pattern_is_mirrored_below_its_part_without_wildcards(
    photos: Path, pattern: str, expected: list[str]
) -> None:
    assert results(pattern) == expected


def test_a_pattern_finds_images_below_the_folder_of_results(photos: Path) -> None:
    assert results("photos/*.png", output=".") == ["b.png"]
    assert results("photos/*.JPG", output="photos", ending=".png") == ["photos/a.png"]


def test_a_name_with_brackets_is_not_a_pattern_if_the_file_exists(photos: Path) -> None:
    (photos / "x[1].png").touch()
    assert results("photos/x[1].png") == ["out/x[1].png"]


def test_one_file_may_name_its_result(photos: Path) -> None:
    assert results("photos/b.png", output="large.JPG") == ["large.JPG"]
    Path("folder.png").mkdir()
    assert results("photos/b.png", output="folder.png") == ["folder.png/b.png"]


def test_a_format_replaces_the_suffix_and_the_map_is_next_to_the_result(photos: Path) -> None:
    item, *_ = plan(["photos/sub"], Path("out"), ending=".png", maps=True)
    assert (item.result, item.map) == (Path("out/c.png"), Path("out/c.map.png"))


def test_a_file_in_a_read_only_format_becomes_png(photos: Path) -> None:
    assert results("photos/notes.txt") == ["out/notes.png"]


def test_the_same_image_twice_is_restored_once(photos: Path) -> None:
    assert results("photos/b.png", "photos/b.png") == ["out/b.png"]
    assert results("photos", "photos/b.png") == results("photos")


def test_hidden_files_are_selected_only_if_named(photos: Path) -> None:
    assert results("photos/.hidden.png") == ["out/.hidden.png"]
    assert results("photos/.thumbs") == ["out/e.png"]


@pytest.mark.parametrize("arguments", ["photos", "photos/**/*.png"])
def test_earlier_results_below_the_input_are_not_inputs(photos: Path, arguments: str) -> None:
    Path("photos/out").mkdir()
    Path("photos/out/b.png").touch()
    assert all("out/out" not in result for result in results(arguments, output="photos/out"))


@pytest.mark.parametrize(
    ("arguments", "output", "more", "reason"),
    [
        (["nope.png"], "out", {}, "no such file"),
        (["photos/*.bmp"], "out", {}, r"photos/\*\.bmp: no images"),
        (["photos/b.png"], "photos", {}, "would replace an input"),
        (["photos/b.png"], "photos/b.png", {}, "would replace an input"),
        (["photos"], "photos", {}, "would replace an input"),
        (["photos/b.png", "photos/sub/c.tif"], "photos/sub", {"ending": ".tif"}, "would replace an input"),
        (["photos/b.png", "other/b.png"], "out", {}, "its result out/b.png would replace that of"),
        (["photos/b.png", "other/b.map.png"], "out", {"maps": True}, "its result out/b.map.png would replace that of"),
        (["photos"], "out.png", {}, "give a folder"),
        (["photos/b.png"], "photos/notes.txt", {}, "is a file, but no image; give a folder, or a name that ends in"),
        (["photos/b.png"], "out.gif", {}, "cannot write '.gif'"),
        (["photos/b.png"], "out.txt", {}, "cannot write '.txt'"),
        (["photos/b.png"], "out.jpg", {"ending": ".png"}, "leave --format out or change -o"),
        (["empty"], "out", {}, "empty: no images found"),
        (["photos/b.png"], "out.png", {"suffix": "_x4"}, "--suffix _x4: -o out.png is the name of the result"),
    ],
)
def test_contradictory_arguments_are_refused(
    photos: Path, arguments: list[str], output: str, more: dict[str, str | bool], reason: str
) -> None:
    for name in ("other/b.png", "other/b.map.png", "empty/readme"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    with pytest.raises(UsageError, match=reason):
        results(*arguments, output=output, **more)


@pytest.mark.parametrize(("output", "ending"), [("out.jpg", ".jpeg"), ("out.JPEG", ".jpg"), ("out.tif", ".tiff")])
def test_another_ending_of_the_same_format_is_no_contradiction(photos: Path, output: str, ending: str) -> None:
    assert results("photos/b.png", output=output, ending=ending) == [output]


def test_an_input_behind_a_link_is_not_replaced(photos: Path) -> None:
    Path("link").symlink_to("photos")
    with pytest.raises(UsageError, match="would replace an input"):
        plan(["photos/b.png"], Path("link"))


def test_planning_thousands_of_files_opens_none(photos: Path) -> None:
    Path("many").mkdir()
    for n in range(3000):
        Path(f"many/{n:04}.png").touch()
    assert len(plan(["many"], Path("out"), maps=True)) == 3000


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.mpo", "a.avif", "a.gif", "a.jp2", "a.ppm", "a.hdr", "a.pfm"])
def test_every_readable_format_is_selected_in_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (item,) = plan([str(tmp_path)], tmp_path / "out")
    kept = {".jfif", ".jpe", ".mpo"}
    replaced = ".tif" if name in {"a.hdr", "a.pfm"} else ".png"
    assert item.result.suffix == (item.path.suffix if item.path.suffix in kept else replaced)


def test_ignored_files_are_counted(photos: Path) -> None:
    for name in ("b.heic", "c.HEIC", "readme"):
        (photos / name).touch()
    os.mkfifo(photos / "pipe.png")
    (photos / "self.png").symlink_to("self.png")
    ignored: Counter[str] = Counter()
    assert len(plan(["photos"], Path("out"), ignored=ignored)) == 5
    assert ignored == {".heic": 2, ".txt": 1, "without ending": 1, "pipes, devices and broken links": 2}


def test_linked_folders_are_followed_once_each(photos: Path) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/t.png").touch()
    (photos / "linked").symlink_to("../elsewhere")
    (photos / "linked again").symlink_to("../elsewhere")
    (photos / "loop").symlink_to(".")
    (photos / "sub" / "up").symlink_to("..")
    expected = ["out/a.JPG", "out/b.png", "out/sub/c.tif", "out/sub/deeper/d x.webp", "out/süß/é.bmp"]
    assert results("photos") == [*expected, "out/linked/t.png"]
    assert results("photos/**/*.png") == ["out/b.png", "out/linked/t.png"]


def test_many_link_loops_are_resolved_quickly(photos: Path) -> None:
    for n in range(30):
        (photos / f"loop{n}").symlink_to(".")
        (photos / "sub" / f"loop{n}").symlink_to("..")
    began = time.perf_counter()
    assert results("photos/**/**/*.png") == ["out/b.png"]
    assert time.perf_counter() - began < 5


def test_a_pattern_below_a_folder_with_brackets_finds_its_images(photos: Path) -> None:
    Path("set [1]").mkdir()
    Path("set [1]/a.png").touch()
    assert results("set [1]/*.png") == ["out/a.png"]
    assert results("set [1]/**/*") == ["out/a.png"]


def test_a_leading_tilde_is_not_expanded(photos: Path) -> None:
    Path("~tilde.png").touch()
    assert results("~tilde.png") == ["out/~tilde.png"]
    with pytest.raises(UsageError, match="no such file"):
        results("~nobody.png")


def test_option_suffix_is_inserted_before_the_extension(photos: Path) -> None:
    assert results("photos/b.png", suffix="_x4") == ["out/b_x4.png"]
    assert results("photos/a.JPG", suffix="_x4", ending=".png") == ["out/a_x4.png"]


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + ".png", "x" * 256 + "/out"])
def test_an_output_whose_name_is_too_long_is_refused(photos: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"-o: the name 'x{24}\.\.\.' has \d{3} bytes, more than 255; give a shorter"):
        plan(["photos/b.png"], Path(name))
