"""The photographs that the wheels of scikit-image and scikit-learn carry, as three data sets without a common scene."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from lowvision import DataError, Dataset, Photo, hookimpl

SKIMAGE, SKLEARN = "skimage/data", "sklearn/datasets/images"
INSTALL = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
"""The distribution that brings each package."""

# Name of the photograph -> its file in an installed package. Colour unless told; licences stand in the README.
TRAIN: Mapping[str, str] = {
    "astronaut": f"{SKIMAGE}/astronaut.png",
    "coffee": f"{SKIMAGE}/coffee.png",
    "motorcycle_left": f"{SKIMAGE}/motorcycle_left.png",  # one scene from two places: both stay in one set
    "motorcycle_right": f"{SKIMAGE}/motorcycle_right.png",
    "galaxies": f"{SKIMAGE}/hubble_deep_field.jpg",
    "retina": f"{SKIMAGE}/retina.jpg",
    "tissue": f"{SKIMAGE}/ihc.png",
    "brick": f"{SKIMAGE}/brick.png",  # grey, as the four below
    "coins": f"{SKIMAGE}/coins.png",
    "grass": f"{SKIMAGE}/grass.png",
    "gravel": f"{SKIMAGE}/gravel.png",
    "moon": f"{SKIMAGE}/moon.png",
}
VALID: Mapping[str, str] = {
    "flower": f"{SKLEARN}/flower.jpg",
    "cameraman": f"{SKIMAGE}/camera.png",  # grey
}
TEST: Mapping[str, str] = {
    "temple": f"{SKLEARN}/china.jpg",
    "rocket": f"{SKIMAGE}/rocket.jpg",
    "cat": f"{SKIMAGE}/chelsea.png",
}


class SamplesTrain(Dataset):
    """Twelve photographs, seven of them in colour: enough for a first run, not for weights to publish."""

    def photos(self) -> tuple[Photo, ...]:
        return _found(TRAIN)


class SamplesValid(Dataset):
    """Two photographs to choose and stop by, in no other set."""

    def photos(self) -> tuple[Photo, ...]:
        return _found(VALID)


class SamplesTest(Dataset):
    """Three colour photographs to measure on, in no other set."""

    def photos(self) -> tuple[Photo, ...]:
        return _found(TEST)


@hookimpl
def lowvision_datasets() -> Mapping[str, type[Dataset]]:
    return {"samples_train": SamplesTrain, "samples_valid": SamplesValid, "samples_test": SamplesTest}


def _found(files: Mapping[str, str]) -> tuple[Photo, ...]:
    """The photographs with the places of their files. Raises DataError where one is not installed."""
    return tuple(Photo(name, _installed(file)) for name, file in files.items())


def _installed(file: str) -> Path:
    """Where a package's file is, without importing the package: that alone would take a second."""
    package, _, rest = file.partition("/")
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, rest)).is_file():
            return path
    trouble = "does not hold it" if spec else "is not installed"
    raise DataError(f"sample {file}: package {package} {trouble}; run: pip install --upgrade {INSTALL[package]}")
