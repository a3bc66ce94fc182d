"""Check a data set against its contract."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np

from lowvision.data import sources
from lowvision.errors import DataError
from lowvision.plugins.contracts import Dataset, Photo
from lowvision.plugins.stored import Stored
from lowvision.testing import options
from lowvision.testing.subject import one_line


def check_dataset(dataset: Dataset, images: int = 8) -> None:
    """Check a data set against its contract; `images`: the largest number of photographs to decode.

    Checks: serialization of options; photographs in a fixed order, with unique names; images that exist and can be
    decoded, twice to the same pixels; pairs whose sizes have one integer ratio; readers that other processes can use;
    the parts of a mix and their weights. Raises AssertionError at the first failure.
    """
    options.check_options(dataset)
    photos = _photos(dataset)
    _check_names(dataset, photos)
    if dataset.photos() != photos:
        raise _failure(dataset, "photos returns another list the second time; sort it, and give readers an equality")
    _check_parts(dataset)
    ratios = {ratio for photo in photos[:images] if (ratio := _check_images(dataset, photo)) is not None}
    if len(ratios) > 1:
        raise _failure(dataset, f"gt is {' or '.join(map(str, sorted(ratios)))} times as large as lq; it has one scale")


def _failure(dataset: Dataset, message: str) -> AssertionError:
    return AssertionError(f"{options.name_of(dataset)}: {message}")


def _photos(dataset: Dataset) -> tuple[Photo, ...]:
    try:
        photos = dataset.photos()
    except DataError as error:
        raise _failure(dataset, f"photos raises DataError ({error}); give the check a set that is there") from error
    except Exception as error:  # a plugin's data set may raise anything
        raise _failure(
            dataset, f"photos raises {type(error).__name__}: {one_line(error)}; raise DataError for missing data"
        ) from error
    if not isinstance(photos, tuple) or not all(isinstance(photo, Photo) for photo in photos):
        raise _failure(dataset, "photos must return a tuple of Photo")
    if not photos:
        raise _failure(dataset, "photos returns none; raise DataError with the reason")
    return photos


def _check_names(dataset: Dataset, photos: tuple[Photo, ...]) -> None:
    repeated = [name for name, count in Counter(photo.name for photo in photos).items() if count > 1]
    if repeated and len(dataset.parts()) == 1:
        raise _failure(dataset, f"two photographs are called '{repeated[0]}'; names are unique in a set")


def _check_parts(dataset: Dataset) -> None:
    parts, weights = dataset.parts(), dataset.weights()
    if weights is not None and (len(weights) != len(parts) or min(weights) <= 0):
        raise _failure(dataset, f"weights {list(weights)} must be one positive number for each of {len(parts)} parts")


def _check_images(dataset: Dataset, photo: Photo) -> int | None:
    """Check the images of a photograph; return the size of gt divided by that of lq, if it has both."""
    sizes = [_size(dataset, source) for source in (photo.gt, photo.lq) if source is not None]
    if not sizes:
        raise _failure(dataset, f"'{photo.name}' has neither gt nor lq")
    if len(sizes) < 2:
        return None
    (height, width), (low, narrow) = sizes
    ratio = round(height / low)
    if ratio < 1 or (height // ratio, width // ratio) != (low, narrow):
        raise _failure(
            dataset,
            f"'{photo.name}': gt of {width}x{height} is no whole multiple of lq of {narrow}x{low}; check the pair",
        )
    return ratio


def _size(dataset: Dataset, source: Path | Stored) -> tuple[int, int]:
    """Return height and width of an image, which must be the same whenever it is read."""
    if isinstance(source, Stored):
        try:
            equal = pickle.loads(pickle.dumps(source)) == source
        except Exception as error:  # pickle raises many types
            raise _failure(
                dataset, f"{source}: its reader cannot be pickled: {one_line(error)}; open files on use"
            ) from None
        if not equal:
            raise _failure(dataset, f"{source}: its reader differs from its copy; make it a frozen dataclass")
    try:
        first, second = sources.read_rgb(source), sources.read_rgb(source)
        if sources.fingerprint(source) != sources.fingerprint(source):
            raise _failure(dataset, f"{source}: its fingerprint changes although its content does not")
    except (DataError, OSError) as error:
        raise _failure(dataset, f"{error}") from error
    if not np.array_equal(first, second):
        raise _failure(dataset, f"{source}: has other pixels when it is read again")
    return first.shape[0], first.shape[1]
