"""Claims about the photographs that installed packages contain."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lowvision_samples
from lowvision import DataError, Dataset
from lowvision.imaging import io
from lowvision.plugins import registry

NAMES = ("samples_train", "samples_valid", "samples_test")


def data_set(name: str) -> Dataset:
    component = registry.load().find("datasets", name).component
    dataset = component()
    assert isinstance(dataset, Dataset)
    return dataset


def test_the_three_sets_contain_the_documented_photographs() -> None:
    assert [len(data_set(name).photos()) for name in NAMES] == [12, 2, 3]


@pytest.mark.parametrize("name", NAMES)
def test_every_photograph_is_a_readable_file(name: str) -> None:
    for photo in data_set(name).photos():
        rgb = io.read_rgb(photo.gt)
        assert rgb.shape[2] == 3
        assert min(rgb.shape[:2]) >= 300, photo.name


def test_the_sets_are_disjoint() -> None:
    photos = [photo for name in NAMES for photo in data_set(name).photos()]
    contents = {hashlib.sha256(photo.gt.read_bytes()).hexdigest() for photo in photos}
    assert len(contents) == len({photo.name for photo in photos}) == len(photos)


def test_both_photographs_of_the_motorcycle_scene_are_in_one_set() -> None:
    holders = {name for name in NAMES for photo in data_set(name).photos() if "motorcycle" in photo.name}
    assert holders == {"samples_train"}


def test_test_photographs_are_in_colour() -> None:
    for photo in data_set("samples_test").photos():
        red, _, blue = np.moveaxis(io.read_rgb(photo.gt).astype(int), 2, 0)
        assert np.abs(red - blue).mean() > 5, photo.name


def test_locating_the_photographs_imports_neither_package() -> None:
    program = (
        "import sys, lowvision_samples; lowvision_samples.SamplesTrain().photos(); "
        "print(sorted({'skimage', 'sklearn', 'torch', 'numpy'} & sys.modules.keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_missing_package_is_reported_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "skimage").mkdir()
    (tmp_path / "skimage" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "skimage", raising=False)
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    with pytest.raises(DataError, match="does not contain it; run: pip install --upgrade scikit-image"):
        lowvision_samples.SamplesTrain().photos()
    with pytest.raises(DataError, match="sklearn is not installed; run: pip install --upgrade scikit-learn"):
        lowvision_samples.SamplesValid().photos()
