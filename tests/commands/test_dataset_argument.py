"""Claims about arguments that name photographs: folders, names of data sets, and data sets with options."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowvision.commands import dataset_argument
from lowvision.errors import LowvisionError
from lowvision.plugins import registry
from lowvision.plugins.contracts import Dataset
from lowvision.plugins.folder_dataset import Folder

SIZES = {"downscale": 1.0, "longer_side": 64}
COMPONENTS = registry.load()


def parse(text: str, *, has_gt: bool = True) -> Dataset:
    return dataset_argument.parse(text, "PHOTOS", SIZES, COMPONENTS, has_gt=has_gt)


def samples(**options: float) -> Dataset:
    dataset: Dataset = COMPONENTS["datasets"]["samples_test"].component(**options)
    return dataset


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos", Folder(path="photos", longer_side=64)),
        ("a: b", Folder(path="a: b", longer_side=64)),
        ("samples_test", samples(longer_side=64)),
        ("{folder: {path: a//b, downscale: 2}}", Folder(path="a//b", downscale=2, longer_side=64)),
        ("{samples_test: {longer_side: 32}}", samples(longer_side=32)),
    ],
)
def test_the_sizes_hold_for_every_data_set_that_has_no_own(text: str, expected: Dataset) -> None:
    assert parse(text) == expected


def test_a_folder_precedes_a_data_set_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("samples_test").mkdir()
    assert parse("samples_test") == Folder(path="samples_test", longer_side=64)


@pytest.mark.parametrize("text", ["photos", "{folder: {path: photos}}"])
def test_only_folders_can_lack_ground_truth(text: str) -> None:
    assert parse(text, has_gt=False) == Folder(path="photos", longer_side=64, has_gt=False)
    with pytest.raises(LowvisionError, match=r"--no-gt: .* is a data set, not a folder"):
        parse("{samples_test: {}}", has_gt=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{folder: {paht: a}}", "PHOTOS: .*paht"),
        ("{folder: 3}", "PHOTOS: "),
        ("{nowhere: {path: a}}", "PHOTOS: nowhere: no dataset named 'nowhere'"),
        ("{folder: {path: a}, zip: {path: b}}", "PHOTOS: "),
        ("{folder", "PHOTOS"),
    ],
)
def test_a_wrong_data_set_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(LowvisionError, match=reason):
        parse(text)


def test_data_sets_are_named_by_folder_or_kind_and_equal_names_are_extended() -> None:
    texts = ["a/hr", "b/hr", "{folder: {path: c}}", "{folder: {path: d}}"]
    named = dataset_argument.named(texts, SIZES, True, COMPONENTS)
    assert list(named) == ["hr", "b-hr", "folder", "{folder: {path: d}}"]
    assert [getattr(dataset, "path", None) for dataset in named.values()] == ["a/hr", "b/hr", "c", "d"]
