"""What a network or a container is, as a value: everything that is needed to build it, and nothing of its weights."""

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


class Tile(Options):
    """The squares into which images are cut, in training and in test; in LQ pixels."""

    size: int = Field(default=32, ge=8)
    """Height and width."""
    overlap: int = Field(default=4, ge=0)
    """How far neighbours overlap in test, at least, where they are blended."""

    @model_validator(mode="after")
    def _advances(self) -> Self:
        if 2 * self.overlap > self.size:
            raise ValueError(f"overlap {self.overlap} must be at most half of the tile's size {self.size}")
        return self


class Architecture(Options):
    """One network (one branch, no classifier) or a container (M branches and a classifier) for a task."""

    task: TaskChoice
    """The degradation that it undoes."""
    branches: tuple[BackboneChoice, ...] = Field(min_length=1)
    """Its networks, cheapest first; the last is the base."""
    classifier: ClassifierChoice | None = None
    """What tells how hard a tile is; absent: this is a single network."""
    tile: Tile = Tile()
    """The geometry that it was trained on."""

    @property
    def kind(self) -> str:
        """`backbone` or `container`."""
        return "backbone" if self.classifier is None else "container"

    def only(self, k: int) -> Architecture:
        """Branch k alone, as a single network."""
        return self.replace(branches=(self.branches[k],), classifier=None)

    def build(self) -> nn.Module:
        """The single network, or the container: what a weights file of it holds."""
        return self.build_container() if self.classifier else self.build_network()

    def build_network(self) -> nn.Module:
        """The single network, freshly initialised."""
        (backbone,) = self.branches
        return backbone.build(self.task)

    def build_container(self) -> RoutedContainer:
        """The container, freshly initialised; of a single network, one whose classifier does nothing."""
        from torch import nn

        from lowvision.routing.container import RoutedContainer

        branches = [backbone.build(self.task) for backbone in self.branches]
        classifier = self.classifier.build(self.task, len(branches)) if self.classifier else nn.Identity()
        return RoutedContainer(classifier, branches)
