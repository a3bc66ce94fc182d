"""Three data sets, without a common scene, of the photographs in the wheels of scikit-image and scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from lowvision import DataError, Dataset, Photo, hookimpl

SKIMAGE, SKLEARN = "skimage/data", "sklearn/datasets/images"
INSTALL = {"skimage": "scikit-image", "sklearn": "scikit-learn"}
"""Distribution that provides each package."""

# Photograph name -> file in an installed package. Colour unless marked grey; the README lists the licences.
TRAIN: Mapping[str, str] = {
    "astronaut": f"{SKIMAGE}/astronaut.png",
    "coffee": f"{SKIMAGE}/coffee.png",
    "motorcycle_left": f"{SKIMAGE}/motorcycle_left.png",  # one scene from two viewpoints: both stay in one set
    "motorcycle_right": f"{SKIMAGE}/motorcycle_right.png",
    "galaxies": f"{SKIMAGE}/hubble_deep_field.jpg",
    "retina": f"{SKIMAGE}/retina.jpg",
    "tissue": f"{SKIMAGE}/ihc.png",
    "brick": f"{SKIMAGE}/brick.png",  # grey, like the four below
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
    """Twelve photographs, seven of them in colour: sufficient for a first run, not for weights to publish."""

    def photos(self) -> tuple[Photo, ...]:
        return _photos(TRAIN)


class SamplesValid(Dataset):
    """Two photographs for validation, in no other set."""

    def photos(self) -> tuple[Photo, ...]:
        return _photos(VALID)


class SamplesTest(Dataset):
    """Three colour photographs for measurements, in no other set."""

    def photos(self) -> tuple[Photo, ...]:
        return _photos(TEST)


@hookimpl
def lowvision_datasets() -> Mapping[str, type[Dataset]]:
    return {"samples_train": SamplesTrain, "samples_valid": SamplesValid, "samples_test": SamplesTest}


def _photos(files: Mapping[str, str]) -> tuple[Photo, ...]:
    """Return the photographs with their paths. Raises DataError if a file is not installed."""
    return tuple(Photo(name, _installed_path(file)) for name, file in files.items())


def _installed_path(file: str) -> Path:
    """Return the path of a package's file without importing the package, which takes a second."""
    package, _, rest = file.partition("/")
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, rest)).is_file():
            return path
    reason = "does not contain it" if spec else "is not installed"
    raise DataError(f"sample {file}: package {package} {reason}; run: pip install --upgrade {INSTALL[package]}")
