"""Everything that a recipe may say, as frozen options models."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lowvision.contracts import Backbone, Classifier, Dataset, Options, Task
from lowvision.recipe.choice import Choice
from lowvision.training.options import Fit, RoutedFit

TaskChoice = Annotated[Task, Choice("tasks")]
BackboneChoice = Annotated[Backbone, Choice("backbones")]
ClassifierChoice = Annotated[Classifier, Choice("classifiers")]
DatasetChoice = Annotated[Dataset, Choice("datasets")]


class Branch(Options):
    """One network of the container: a backbone, and the weights file that it may start from."""

    backbone: BackboneChoice
    """The network."""
    weights: str | None = None
    """A weights file of this very network; absent: the stages train it."""

    @model_validator(mode="before")
    @classmethod
    def _bare_backbone(cls, value: Any) -> Any:
        bare = isinstance(value, str | Backbone) or (isinstance(value, dict) and "backbone" not in value)
        return {"backbone": value} if bare else value


class Tile(Options):
    """The squares into which images are cut, in training and in test; in LQ pixels."""

    size: int = Field(default=32, ge=8)
    """Height and width."""
    overlap: int = Field(default=4, ge=0)
    """How far neighbours overlap in test, where they are blended."""

    @model_validator(mode="after")
    def _advances(self) -> Self:
        if 2 * self.overlap > self.size:
            raise ValueError(f"overlap {self.overlap} must be at most half of the tile's size {self.size}")
        return self


class Data(Options):
    """The photographs: `train` to learn, `valid` to choose and watch, `test` for `evaluate` alone."""

    train: DatasetChoice | None = None
    """What the stages learn from."""
    valid: DatasetChoice | None = None
    """What is watched while they learn, and what the best weights are chosen by."""
    test: DatasetChoice | None = None
    """What `evaluate` reads, and nothing else does."""
    augment: tuple[Any, ...] = ("D4",)
    """Albumentations transforms by name, or name with arguments, the same for lq and gt."""
    valid_tiles: int = Field(default=128, ge=1)
    """How many fixed tiles of `valid` are looked at."""
    workers: int = Field(default=0, ge=0)
    """Processes that read tiles; 0: the training process does."""


class Base(Fit):
    """Trains the base, the largest branch's network, alone on all tiles."""


class Rank(Options):
    """Ranks training tiles by their PSNR under a trained network, into as many classes as there are branches."""

    weights: str | None = None
    """A weights file of the network to rank by; absent: the base."""
    stride: int | None = Field(default=None, ge=1)
    """LQ pixels between the tiles of the grid; absent: half a tile."""
    limit: int | None = Field(default=None, ge=1)
    """Rank only so many tiles, drawn at random; absent: all."""
    batch: int = Field(default=32, ge=1)
    """Tiles that go through the network at a time."""


class Branches(Fit):
    """Trains branch k on the tiles of class k."""

    last_from_base: bool = True
    """Start every branch whose network is the base's own from the base's weights."""


class ClassifierStage(RoutedFit):
    """Trains the classifier; the branches are frozen."""


class Joint(RoutedFit):
    """Trains classifier and branches together."""


class Evaluate(Options):
    """Measures quality, cost and seconds on `data.test` and writes the report."""

    pictures: int = Field(default=4, ge=0)
    """For how many images the restored image and the route map are kept."""
    batch: int = Field(default=16, ge=1)
    """Tiles of one branch that are restored at a time."""


class Stages(Options):
    """The stages in the order in which they run; an absent one is not run."""

    base: Base | None = None
    """Trains the base on all tiles."""
    rank: Rank | None = None
    """Sorts the training tiles by difficulty."""
    branches: Branches | None = None
    """Trains each branch on its own class."""
    classifier: ClassifierStage | None = None
    """Trains the classifier."""
    joint: Joint | None = None
    """Trains everything together."""
    evaluate: Evaluate | None = Evaluate()
    """Measures the result."""


class Recipe(Options):
    """A whole recipe, resolved: branches are listed, every default is filled in."""

    task: TaskChoice
    """The degradation to undo."""
    branches: tuple[Branch, ...] = Field(min_length=1)
    """The networks of the container, cheapest first; the last is the base."""
    classifier: ClassifierChoice
    """What tells how hard a tile is."""
    tile: Tile = Tile()
    """The geometry of tiles."""
    data: Data = Data()
    """The photographs."""
    stages: Stages = Stages()
    """What is done."""
    seed: int = Field(default=0, ge=0)
    """Everything random follows from it."""
    precision: Literal["no", "fp16", "bf16"] = "no"
    """Mixed precision of training."""
    trackers: tuple[str, ...] = ()
    """Experiment trackers by Accelerate's names for them, such as `tensorboard`."""

    @property
    def base(self) -> Backbone:
        """The network to be accelerated: the last branch's."""
        return self.branches[-1].backbone

    @model_validator(mode="after")
    def _scales_are_possible(self) -> Self:
        for k, branch in enumerate(self.branches):
            scales = branch.backbone.scales
            if scales is not None and self.task.scale not in scales:
                raise ValueError(
                    f"branch {k} can be built for scale {', '.join(map(str, scales))}; the task has {self.task.scale}"
                )
        return self

    @model_validator(mode="after")
    def _tile_suits_the_networks(self) -> Self:
        for k, branch in enumerate(self.branches):
            if self.tile.size % branch.backbone.multiple_of:
                raise ValueError(
                    f"tile size {self.tile.size} must be a multiple of {branch.backbone.multiple_of} for branch {k}"
                )
        return self

    @model_validator(mode="after")
    def _one_share_a_branch(self) -> Self:
        for name in ("classifier", "joint"):
            stage: RoutedFit | None = getattr(self.stages, name)
            if stage and stage.shares is not None and len(stage.shares) != len(self.branches):
                raise ValueError(f"stages.{name}.shares has {len(stage.shares)} values for {len(self.branches)} branches")
        return self

    @model_validator(mode="after")
    def _stages_have_their_data(self) -> Self:
        trained = [name for name in ("base", "rank", "branches", "classifier", "joint") if getattr(self.stages, name)]
        if trained and self.data.train is None:
            raise ValueError(f"stages.{trained[0]} needs data.train")
        if self.stages.branches and not self.stages.rank and len(self.branches) > 1:
            raise ValueError("stages.branches needs stages.rank, which sorts the tiles by difficulty")
        return self
