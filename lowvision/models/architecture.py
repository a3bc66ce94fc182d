"""Architectures: all options that are needed to build a network or a container, without its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from lowvision.config.options import Options
from lowvision.plugins.choice import Choice
from lowvision.plugins.contracts import Backbone, Classifier, Dataset, Task

if TYPE_CHECKING:
    from torch import nn

    from lowvision.routing.container import RoutedContainer

TaskChoice = Annotated[Task, Choice("tasks")]
BackboneChoice = Annotated[Backbone, Choice("backbones")]
ClassifierChoice = Annotated[Classifier, Choice("classifiers")]
DatasetChoice = Annotated[Dataset, Choice("datasets")]


MOST_MERGED = 16
"""Most rows and columns of tiles that can be merged."""
MOST_IN_ONE = 4
"""Most rows and columns of tiles for which a whole image may become one window (`lowvision/routing/regions.py`)."""


class Tile(Options):
    """The square tiles of training and restoration, in LQ pixels."""

    size: int = Field(default=32, ge=8)
    """Height and width of a tile."""
    overlap: int = Field(default=4, ge=0)
    """Minimum overlap of neighbouring tiles in restoration, where they are blended."""
    merge: bool | Annotated[int, Field(ge=2, le=MOST_MERGED)] = False
    """True: neighbouring tiles are merged although a branch sees its whole input, e.g. a network that was trained for
    whole images. Branches with a limited receptive field are merged in any case, as far as they need little memory.
    A number: maximum of rows and columns of tiles that are merged, whatever their memory."""
    halo: int = Field(default=0, ge=0)
    """Pixels of context on each side of a restored window, beyond the overlap; they are restored and thrown away. For
    networks whose receptive field is larger than a tile."""

    @model_validator(mode="after")
    def _advances(self) -> Self:
        if 2 * self.overlap > self.size:
            raise ValueError(f"overlap {self.overlap} must be at most half of the tile's size {self.size}")
        return self

    def covering(self, side: int) -> int:
        """Return the largest length of at most `side` pixels that tiles cover with their least overlap.

        At least the length of two tiles; of more if a number of them are merged, so that it holds a seam.
        """
        stride = self.size - self.overlap
        fewest = 2 if isinstance(self.merge, bool) else min(self.merge, MOST_IN_ONE) + 1
        return max(fewest, (side - self.overlap) // stride) * stride + self.overlap


class Architecture(Options):
    """One network (one branch, no classifier) or a container (M branches and a classifier) for a task."""

    task: TaskChoice
    """The degradation that it inverts."""
    branches: tuple[BackboneChoice, ...] = Field(min_length=1)
    """The networks, cheapest first; the last one is the base."""
    classifier: ClassifierChoice | None = None
    """Predicts the difficulty of tiles; null: a single network."""
    tile: Tile = Field(default_factory=Tile)
    """The tiles that it was trained on."""

    @property
    def kind(self) -> str:
        """`backbone` or `container`."""
        return "backbone" if self.classifier is None else "container"

    def only(self, k: int) -> Architecture:
        """Return the architecture of branch k as a single network."""
        return self.replace(branches=(self.branches[k],), classifier=None)

    def deployed(self) -> Architecture:
        """Return the architecture with every branch in the form that is used after training."""
        return self.replace(branches=tuple(backbone.deployed() for backbone in self.branches))

    def build(self) -> nn.Module:
        """Build what a weights file holds: the single network or the container."""
        return self.build_container() if self.classifier else self.build_network()

    def build_network(self) -> nn.Module:
        """Build the single network, newly initialised."""
        (backbone,) = self.branches
        return backbone.build(self.task)

    def build_container(self) -> RoutedContainer:
        """Build the container, newly initialised; for a single network, with an identity as classifier."""
        from torch import nn

        from lowvision.routing.container import RoutedContainer

        branches = [backbone.build(self.task) for backbone in self.branches]
        classifier = self.classifier.build(self.task, len(branches)) if self.classifier else nn.Identity()
        return RoutedContainer(classifier, branches)
