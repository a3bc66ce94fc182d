"""Several data sets as one, with their shares of the training tiles."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from lowvision.plugins.choice import Choice
from lowvision.plugins.contracts import Dataset, Photo

DatasetChoice = Annotated[Dataset, Choice("datasets")]


class Mixed(Dataset):
    """Several data sets, each with its own options; in recipes also written as a list."""

    of: tuple[DatasetChoice, ...] = Field(min_length=1)
    """The data sets."""
    shares: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Fraction of training tiles from each data set, up to a common factor; null: by the number of possible tiles."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shares is not None and len(self.shares) != len(self.of):
            raise ValueError(f"shares has {len(self.shares)} values for {len(self.of)} data sets; give one for each")
        if (self.downscale, self.longer_side, self.scales) != (1.0, None, (1.0,)):
            raise ValueError("downscale, longer_side and scales are options of each data set in `of`; set them there")
        if any(len(part.parts()) > 1 for part in self.of):
            raise ValueError("a mix inside a mix cannot have separate shares; list all data sets in one")
        return self

    def parts(self) -> tuple[Dataset, ...]:
        """Return the data sets."""
        return self.of

    def weights(self) -> tuple[float, ...] | None:
        """Return the shares."""
        return self.shares

    def photos(self) -> tuple[Photo, ...]:
        """Return the photographs of all data sets."""
        return tuple(photo for part in self.of for photo in part.photos())
