"""Claims about pairs of degraded and clean images in folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from image_files import touch

from lowvision import DataError
from lowvision.plugins import image_pairs
from lowvision.plugins.folder_dataset import Folder


def test_gt_and_lq_folders_are_paired_with_any_file_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "gt/a.png", "gt/in/b.png", "lq/a.jpg", "lq/in/b.png", "readme.png")
    photos = Folder(path=str(tmp_path)).photos()
    assert [(photo.name, photo.gt, photo.lq) for photo in photos] == [
        ("a", tmp_path / "gt/a.png", tmp_path / "lq/a.jpg"),
        ("in/b", tmp_path / "gt/in/b.png", tmp_path / "lq/in/b.png"),
    ]


def test_a_gt_folder_without_lq_is_an_ordinary_folder(tmp_path: Path) -> None:
    assert pairs(touch(tmp_path, "gt/a.png")) == {"gt/a": ("gt/a.png", None)}


def test_unpaired_images_are_reported_by_side_name_and_count(tmp_path: Path) -> None:
    touch(tmp_path, "gt/a.png", "gt/b.png", "lq/a.png", "lq/ax4.png", "lq/c.png", "lq/d.png")
    with pytest.raises(
        DataError, match=r"gt/ holds 2 images, lq/ 4; rename or remove .*: gt/b, lq/ax4, lq/c and 1 more"
    ):
        pairs(tmp_path)


def pairs(folder: Path, **options: Any) -> dict[str, tuple[str, str | None]]:
    """Return the pairs of a folder as relative paths: name -> (gt, lq)."""
    photos = Folder(path=str(folder), **options).photos()

    def inside(path: Path | None) -> str | None:
        return None if path is None else path.relative_to(folder).as_posix()

    return {photo.name: (inside(photo.gt) or "", inside(photo.lq)) for photo in photos}


@pytest.mark.parametrize(
    ("clean", "degraded"),
    [
        ("gt/{}.png", "lq/{}.png"),
        ("gt/{}.png", "lq/{}x4.png"),
        ("HR/{}.png", "LR/{}x4.jpg"),
        ("HR/{}.png", "LR/X4/{}x4.png"),
        ("HR/{}.png", "X4/{}x4.png"),
        ("DIV2K_train_HR/{}.png", "DIV2K_train_LR_bicubic/X4/{}x4.png"),
        ("GTmod12/{}.png", "LRbicx4/{}.png"),
        ("hr/{}_HR.png", "lr/{}_LR.png"),
        ("{}.png", "{}x4.png"),
        ("{}.png", "{}_x2.png"),
        ("deep/{}.png", "deep/{}x4.png"),
        ("img_{}_SRF_4_HR.png", "img_{}_SRF_4_LR.png"),
    ],
)
def test_pair_layouts_of_common_data_sets_are_recognised(tmp_path: Path, clean: str, degraded: str) -> None:
    numbers = ("0001", "0002", "0010")
    touch(tmp_path, *(form.format(number) for form in (clean, degraded) for number in numbers))
    expected = {(clean.format(number), degraded.format(number)) for number in numbers}
    assert set(pairs(tmp_path).values()) == expected


def test_several_lq_folders_require_the_option_lq(tmp_path: Path) -> None:
    touch(tmp_path, "HR/1.png", "LR/X2/1x2.png", "LR/X4/1x4.png")
    with pytest.raises(DataError, match=r"holds LR/X2, LR/X4; write lq: NAME to choose one"):
        pairs(tmp_path)
    assert pairs(tmp_path, lq="LR/X4") == {"1": ("HR/1.png", "LR/X4/1x4.png")}


def test_folders_of_other_names_are_paired_by_options(tmp_path: Path) -> None:
    touch(tmp_path, "sharp/1.png", "blurred/1.png")
    assert pairs(tmp_path, gt="sharp", lq="blurred") == {"1": ("sharp/1.png", "blurred/1.png")}
    assert pairs(tmp_path, gt="sharp") == {"1": ("sharp/1.png", None)}
    with pytest.raises(DataError, match=r"hazy: no such folder; `lq` names a folder below `path`"):
        pairs(tmp_path, gt="sharp", lq="hazy")
    with pytest.raises(DataError, match="no subfolder of ground truth is recognised; write gt: NAME"):
        pairs(tmp_path, lq="blurred")


@pytest.mark.parametrize(
    "images",
    [
        ("train/HR/1.png", "train/LR/1.png"),
        ("1.png", "LR/1.png"),
        ("1.png", "X4/1x4.png"),
        ("a/gt/1.png", "a/lq/1.png", "b/2.png"),
    ],
)
def test_degraded_images_in_an_unknown_layout_are_not_used_as_ground_truth(
    tmp_path: Path, images: tuple[str, ...]
) -> None:
    touch(tmp_path, *images)
    with pytest.raises(DataError, match=r"folder of degraded images, .*; write gt: NAME and lq: NAME"):
        pairs(tmp_path)
    assert len(pairs(tmp_path, gt=".")) == len(images)


def test_images_named_like_degraded_ones_of_another_folder_are_not_used_as_ground_truth(tmp_path: Path) -> None:
    touch(tmp_path, "high/1.png", "low/1x4.png")
    with pytest.raises(DataError, match="'low/1x4' is named like a degraded image of one in another folder"):
        pairs(tmp_path)
    assert pairs(tmp_path, gt="high", lq="low") == {"1": ("high/1.png", "low/1x4.png")}
    assert len(pairs(tmp_path, gt=".")) == 2


def test_a_folder_in_which_only_some_images_have_a_counterpart_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "1x4.png", "2.png")
    with pytest.raises(DataError, match=r"'1x4' looks like the degraded image of '1', but 1 of 3 .* in no pair: 2;"):
        pairs(tmp_path)
    assert pairs(tmp_path, exclude=("2",)) == {"1": ("1.png", "1x4.png")}
    assert pairs(tmp_path, exclude=("*x4",)) == {"1": ("1.png", None), "2": ("2.png", None)}


def test_two_scales_in_one_folder_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "1x2.png", "1x4.png")
    with pytest.raises(DataError, match="1 of 3 images are in no pair: 1x4"):
        pairs(tmp_path)


@pytest.mark.parametrize("names_", [("matrix.png", "matrix2.png"), ("x4.png", "1.png"), ("hrx.png", "lr.png")])
def test_names_with_the_same_ending_are_not_pairs(tmp_path: Path, names_: tuple[str, ...]) -> None:
    assert all(lq is None for _, lq in pairs(touch(tmp_path, *names_)).values())


@given(st.lists(st.text("abx24_HRhrlq", min_size=1, max_size=6), min_size=1, max_size=8, unique=True))
def test_every_image_is_in_one_photograph_or_the_folder_is_an_error(names: list[str]) -> None:
    images = {name: Path(f"{name}.png") for name in names}
    try:
        photos = image_pairs.within(Path("photos"), images)
    except DataError:
        return
    used = [path for photo in photos for path in (photo.gt, photo.lq) if path is not None]
    assert sorted(map(str, used)) == sorted(map(str, images.values()))


@given(
    st.lists(st.text("abx24", min_size=1, max_size=4), min_size=1, max_size=6, unique=True), st.sampled_from([2, 3, 4])
)
@example(names=["x", "xx4"], scale=4)  # lq/xx4 is that of gt/x, although gt/xx4 has the same name
def test_two_folders_of_as_many_images_are_paired_by_name(names: list[str], scale: int) -> None:
    gt = {name: Path(f"gt/{name}.png") for name in names}
    lq = {f"{name}x{scale}": Path(f"lq/{name}x{scale}.png") for name in names}
    photos = image_pairs.match(Path(), (Path("gt"), Path("lq")), gt, lq)
    assert {(photo.gt, photo.lq) for photo in photos} == {(gt[name], lq[f"{name}x{scale}"]) for name in names}
