"""The stages of the core and their options, as the plugin system provides them; each imports its work when it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from lowvision.config.options import Options
from lowvision.pipeline.measuring_stages import Calibrate as Calibrate
from lowvision.pipeline.measuring_stages import Evaluate as Evaluate
from lowvision.pipeline.measuring_stages import Fidelity as Fidelity
from lowvision.plugins.contracts import Backbone
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.stages import Stage, Trainable
from lowvision.training.options import RoutedFit
from lowvision.training.stage import TrainingStage

if TYPE_CHECKING:
    from lowvision.pipeline.stages.context import StageContext
    from lowvision.recipe.models import Recipe


Side = Annotated[int, Field(ge=8)]
"""Height and width of a tile in LQ pixels."""


class OwnTiles(Options):
    """The option of stages whose training tiles may have another size than those of restoring."""

    tile: Side | Annotated[tuple[Side, ...], Field(min_length=1)] | None = None
    """Height and width of training tiles, in LQ pixels; a list, e.g. [32, 48, 64], is used in turn, each size for an
    equal part of the steps. Null: `tile.size`. Other stages, validation and restoring keep `tile.size`."""

    @property
    def tiles(self) -> tuple[int, ...]:
        """Sizes of tiles in their order; empty: `tile.size`."""
        return self.tile if isinstance(self.tile, tuple) else (self.tile,) if self.tile else ()

    def tile_issues(self, backbones: Sequence[Backbone]) -> Iterator[tuple[str, str]]:
        """Yield an issue of a stage for each size that one of the backbones cannot process."""
        for multiple in sorted({backbone.multiple_of for backbone in backbones}):
            for size in self.tiles:
                if size % multiple:
                    yield "tile", f"{size} must be a multiple of {multiple} for its backbone"


class Base(OwnTiles, TrainingStage):
    """Train the base, i.e. the network of the last branch, on all tiles."""

    place: ClassVar[float] = 10
    trains: ClassVar[Trainable | None] = "base"
    weights_options: ClassVar[tuple[str, ...]] = ("start",)

    start: str | None = None
    """Initial weights: a weights file or a name of shipped weights; replaces `weights` of the last branch. From a
    container, the branch with the same architecture is used."""
    candidates: int = Field(default=1, ge=1)
    """Tiles drawn per training tile, of which the most detailed one is used; 1: uniform, as in the paper."""

    def issues(self, recipe: Recipe) -> Iterator[tuple[str, str]]:
        yield from self.tile_issues([recipe.base])

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import base

        base.run(context, self)


class Distil(OwnTiles, TrainingStage):
    """Train each branch without weights to imitate the teacher, on all tiles."""

    place: ClassVar[float] = 15
    weights_options: ClassVar[tuple[str, ...]] = ("start",)

    start: str | tuple[str, ...] | None = None
    """Initial weights: weights files or names of shipped weights. A student starts from the first of them that has its
    network; of a container, the branch with the same architecture; if none has it, from random weights."""
    candidates: int = Field(default=1, ge=1)
    """Tiles drawn per training tile, of which the most detailed one is used; 1: uniform."""
    steps_each: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Steps per branch that is trained, in place of `steps`."""

    @property
    def fewest_steps(self) -> int:
        return min(self.steps_each) if self.steps_each else self.steps

    def of(self, n: int) -> Distil:
        """Return the options for the n-th branch that is trained."""
        return self if self.steps_each is None else self.model_copy(update={"steps": self.steps_each[n]})

    def issues(self, recipe: Recipe) -> Iterator[tuple[str, str]]:
        students = recipe.students
        if recipe.teacher is None:
            yield "", "needs a `teacher`"
        if not students:
            yield "", "has nothing to train; give a branch without weights"
        elif self.steps_each and len(self.steps_each) != len(students):
            yield "steps_each", f"has {len(self.steps_each)} values for {len(students)} branches without weights"
        if recipe.stages.branches:
            yield "", "is followed by stages.branches, which trains the same networks; omit one of them"
        yield from self.tile_issues([recipe.branches[k].backbone for k in students])

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import distil

        distil.run(context, self)


class Rank(Stage):
    """Sort the training tiles into one class per branch, by their PSNR under a trained network."""

    place: ClassVar[float] = 20
    needs: ClassVar[tuple[str, ...]] = ("train",)
    weights_options: ClassVar[tuple[str, ...]] = ("weights",)

    weights: str | None = None
    """Weights file of the network that ranks; null: the base."""
    stride: int | None = Field(default=None, ge=1)
    """Stride of the grid of tiles, in LQ pixels; null: half a tile."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of tiles to rank, drawn at random; null: all."""
    batch: int = Field(default=32, ge=1)
    """Tiles per forward pass."""

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import rank

        rank.run(context, self)


class Branches(OwnTiles, TrainingStage):
    """Train branch k on the tiles of class k."""

    place: ClassVar[float] = 30
    trains: ClassVar[Trainable | None] = "branches"
    weights_options: ClassVar[tuple[str, ...]] = ("start",)

    own_class: float = Field(default=1.0, ge=0, le=1)
    """Fraction of tiles from the branch's own class; the rest is from all classes. 1: as in the paper; 0 needs no
    ranking."""
    start: str | None = None
    """Initial weights: a weights file of a container or a name of shipped weights; replaces the base and `weights`. The
    last branch still starts from the base that the run has trained."""
    from_base: bool = True
    """Start from the base: the last branch from its weights, smaller ones from those that their reducers inherit."""
    steps_each: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Steps per branch, in place of `steps`: small branches need more than the last one, which is trained already. 0:
    the branch keeps its initial weights."""

    @property
    def fewest_steps(self) -> int:
        return min((steps for steps in self.steps_each or () if steps), default=self.steps)

    def of(self, k: int) -> Branches:
        """Return the options for branch k."""
        return self if self.steps_each is None else self.model_copy(update={"steps": self.steps_each[k]})

    def issues(self, recipe: Recipe) -> Iterator[tuple[str, str]]:
        yield from _wrong_length("steps_each", self.steps_each, recipe)
        if self.own_class and not recipe.stages.rank and len(recipe.branches) > 1:
            yield "", "needs stages.rank, which sorts the tiles by difficulty"
        yield from self.tile_issues([branch.backbone for branch in recipe.branches])

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import branches

        branches.run(context, self)


class ClassifierStage(OwnTiles, RoutedFit, TrainingStage):
    """Train the classifier; the branches are frozen."""

    place: ClassVar[float] = 40
    trains: ClassVar[Trainable | None] = "container"
    weights_options: ClassVar[tuple[str, ...]] = ("start",)

    ranked_steps: int = Field(default=0, ge=0)
    """Initial steps in which the classifier learns the classes of the ranking; fast, because no branch runs."""
    ranked_lr: float = Field(default=1e-3, gt=0)
    """Initial learning rate of `ranked_steps`."""
    error_tiles: int = Field(default=4096, ge=1)
    """Training tiles on which each branch is measured, once, for a classifier that predicts errors."""

    def issues(self, recipe: Recipe) -> Iterator[tuple[str, str]]:
        yield from _routed_issues(self, recipe)
        if self.ranked_steps and not recipe.stages.rank:
            yield "ranked_steps", "needs stages.rank, whose classes are learned"
        if recipe.classifier and not recipe.classifier.trained:
            yield "", "has nothing to train; omit it, or write classifier: null"
        if self.tiles and recipe.classifier and recipe.classifier.predicts == "error":
            yield "tile", "is not used by a classifier that predicts errors, which are those of tiles of `tile.size`"

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import classifier

        classifier.run(context, self)


class Joint(OwnTiles, RoutedFit, TrainingStage):
    """Train classifier and branches jointly."""

    place: ClassVar[float] = 50
    trains: ClassVar[Trainable | None] = "container"
    weights_options: ClassVar[tuple[str, ...]] = ("start",)

    def issues(self, recipe: Recipe) -> Iterator[tuple[str, str]]:
        yield from _routed_issues(self, recipe)

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import joint

        joint.run(context, self)


def _routed_issues(stage: ClassifierStage | Joint, recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield the issues of a stage that trains the container."""
    if not recipe.classifier:
        yield "", "needs a classifier; add one to the recipe"
    yield from _wrong_length("shares", stage.shares, recipe)
    yield from stage.tile_issues([branch.backbone for branch in recipe.branches])


def _wrong_length(option: str, values: Sequence[float] | None, recipe: Recipe) -> Iterator[tuple[str, str]]:
    if values is not None and len(values) != len(recipe.branches):
        yield option, f"has {len(values)} values for {len(recipe.branches)} branches"


@hookimpl
def lowvision_stages() -> Mapping[str, type[Stage]]:
    return {
        "base": Base,
        "distil": Distil,
        "rank": Rank,
        "branches": Branches,
        "classifier": ClassifierStage,
        "joint": Joint,
        "calibrate": Calibrate,
        "fidelity": Fidelity,
        "evaluate": Evaluate,
    }
