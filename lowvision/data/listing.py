"""The photographs of a data set before they are decoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lowvision.plugins.contracts import Dataset, Photo


@dataclass(frozen=True)
class Listed:
    """A photograph that is not decoded, the data set that it is from, and the number of that among several."""

    photo: Photo
    dataset: Dataset
    part: int

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the photograph; those of an archive or a database are not listed."""
        return tuple(source for source in (self.photo.gt, self.photo.lq) if isinstance(source, Path))


def listed(dataset: Dataset) -> list[Listed]:
    """List the photographs of a data set, or of all that it consists of, whose names are then numbered."""
    parts = dataset.parts()
    if len(parts) == 1:
        return [Listed(photo, parts[0], 0) for photo in parts[0].photos()]
    return [
        Listed(replace(photo, name=f"{number}/{photo.name}"), part, number)
        for number, part in enumerate(parts)
        for photo in part.photos()
    ]
