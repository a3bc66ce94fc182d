"""Everything that a recipe may say, as frozen options models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lowvision.architecture import (
    Architecture,
    BackboneChoice,
    ClassifierChoice,
    DatasetChoice,
    TaskChoice,
    Tile,
)
from lowvision.choice import Choice
from lowvision.complaints import MISSING, Complaint, as_error
from lowvision.contracts import Backbone, Reducer
from lowvision.options import Options
from lowvision.training import augment
from lowvision.training.options import Fit, RoutedFit

ReducerChoice = Annotated[Reducer, Choice("reducers")]
USUAL = ("D4",)
"""The augmentations unless told otherwise: the eight flips and quarter turns."""


class Reduction(Options):
    """One step on the way from the base to a smaller network."""

    reducer: ReducerChoice
    """What made it smaller."""
    level: int | float | str
    """By how much."""

    def of(self, backbone: Backbone) -> Backbone:
        """The smaller backbone. Raises ValueError where there is none."""
        return self.reducer.reduce(backbone, self.level)


class Branch(Options):
    """One network of the container: a backbone, and what it may start from."""

    backbone: BackboneChoice
    """The network."""
    weights: str | None = None
    """A weights file of this very network; absent: the stages train it."""
    reduced: tuple[Reduction, ...] = ()
    """How it was made of the base: along these steps it inherits the base's weights."""

    @model_validator(mode="before")
    @classmethod
    def _bare_backbone(cls, value: Any) -> Any:
        bare = isinstance(value, str | Backbone) or (isinstance(value, dict) and "backbone" not in value)
        return {"backbone": value} if bare else value


class Data(Options):
    """The photographs: `train` to learn, `valid` to choose and watch, `test` for `evaluate` alone."""

    train: DatasetChoice | None = None
    """What the stages learn from."""
    valid: DatasetChoice | None = None
    """What is watched while they learn, and what the best weights are chosen by."""
    test: DatasetChoice | None = None
    """What `evaluate` reads, and nothing else does."""
    augment: tuple[Any, ...] = USUAL
    """Albumentations transforms by name, or name with arguments, the same for lq and gt."""
    valid_tiles: int = Field(default=128, ge=1)
    """How many fixed tiles of `valid` are looked at."""
    workers: int = Field(default=1, ge=0)
    """Processes that read tiles; 0: the training process does."""

    @field_validator("augment")
    @classmethod
    def _are_transforms(cls, specifications: tuple[Any, ...]) -> tuple[Any, ...]:
        # The default needs no check, so that reading most recipes does not wait for albumentations.
        if specifications != USUAL and (wrong := list(augment.complaints(specifications))):
            raise as_error("Data", wrong)
        return specifications


class Base(Fit):
    """Trains the base, the largest branch's network, alone on all tiles."""

    start: str | None = None
    """A weights file, or the name of shipped weights, to start from; goes before the last branch's `weights`."""
    candidates: int = Field(default=1, ge=1)
    """Tiles drawn for every one that is learned from: the one with the most detail is; 1: any, as in the paper."""


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

    own_class: float = Field(default=1.0, ge=0, le=1)
    """Share of the tiles that are of the branch's own class, as in the paper; the others are of all classes."""
    from_base: bool = True
    """Start from the base: its own network from its weights, a smaller one from what its reducers hand down of them."""
    steps_each: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Updates of each branch, in place of `steps`: a small one has more to learn than the base's own, which goes on."""

    @property
    def fewest_steps(self) -> int:
        return min(self.steps_each) if self.steps_each else self.steps

    def of(self, k: int) -> Branches:
        """What branch k is trained by."""
        return self if self.steps_each is None else self.model_copy(update={"steps": self.steps_each[k]})


class ClassifierStage(RoutedFit):
    """Trains the classifier; the branches are frozen."""

    ranked_steps: int = Field(default=0, ge=0)
    """First so many steps of learning the ranking's classes as they are; no branch runs, so they take no time."""
    ranked_lr: float = Field(default=1e-3, gt=0)
    """Learning rate at the start of these."""


class Joint(RoutedFit):
    """Trains classifier and branches together."""


class Calibrate(Options):
    """Measures PSNR against cost on `data.valid`, and keeps the curve in the weights file: for `--max-loss`.

    One network that decides by itself is set to several shares of its cost instead, for `--budget` as well.
    """

    points: int = Field(default=9, ge=3)
    """Of the curve: all tiles cheap, as trained, all dear, and some between; of one network so many shares, evenly."""
    size: int = Field(default=256, ge=16)
    """The middle of each photograph is measured: at most so many LQ pixels high and wide."""
    batch: int = Field(default=16, ge=1)
    """Tiles of one branch that are restored at a time."""


class Evaluate(Options):
    """Measures quality, cost and seconds on `data.test` and writes the report."""

    budgets: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Shares of the base's cost on the whole image at which to measure as well, as `restore --budget` restores; of a
    base that decides by itself how much to compute, shares of its cost on tiles, set on `data.valid`."""
    compare: bool = False
    """Whether to measure, at the cost of the classifier's own choice, what classifiers without training and what the
    truth would choose; the former are fitted on `data.valid`."""

    pictures: int = Field(default=4, ge=0)
    """For how many images the restored image and the route map are kept."""
    batch: int = Field(default=16, ge=1)
    """Tiles of one branch that are restored at a time."""


class Stages(Options):
    """The stages in the order in which they run; an absent one is not run, but `evaluate` is unless it is null."""

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
    calibrate: Calibrate | None = None
    """Measures how much PSNR is lost for how little cost."""
    evaluate: Evaluate | None = Evaluate()
    """Measures the result."""


class Recipe(Options):
    """A whole recipe, resolved: branches are listed, every default is filled in."""

    task: TaskChoice
    """The degradation to undo."""
    branches: tuple[Branch, ...] = Field(min_length=1)
    """The networks of the container, cheapest first; the last is the base."""
    classifier: ClassifierChoice | None = None
    """What tells how hard a tile is; absent where there is one branch, and nothing to tell."""
    tile: Tile = Tile()
    """The geometry of tiles."""
    data: Data = Data()
    """The photographs."""
    stages: Stages = Stages()
    """What is done."""
    about: str = ""
    """What the weights are for and what they learned from; stands in their header."""
    license: str = ""
    """On what terms the weights may be used, as `Apache-2.0`; stands in their header."""
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

    @property
    def architecture(self) -> Architecture:
        """What the container is, as a value."""
        return Architecture(
            task=self.task,
            branches=tuple(branch.backbone for branch in self.branches),
            classifier=self.classifier,
            tile=self.tile,
        )

    @model_validator(mode="after")
    def _keeps_the_laws(self) -> Self:
        broken = [
            *_impossible_scales(self),
            *_unfit_tiles(self),
            *_false_reductions(self),
            *_wrong_lengths(self),
            *_missing_classifier(self),
            *_missing_stages(self),
        ]
        if broken:
            raise as_error("Recipe", broken)
        return self


def _impossible_scales(recipe: Recipe) -> Iterator[Complaint]:
    for k, branch in enumerate(recipe.branches):
        scales = branch.backbone.scales
        if scales is not None and recipe.task.scale not in scales:
            possible = ", ".join(map(str, scales))
            yield Complaint(
                ("branches", k), f"can be built for scale {possible}; the task has scale {recipe.task.scale}"
            )


def _unfit_tiles(recipe: Recipe) -> Iterator[Complaint]:
    for multiple in sorted({branch.backbone.multiple_of for branch in recipe.branches}):
        if recipe.tile.size % multiple:
            yield Complaint(("tile", "size"), f"{recipe.tile.size} must be a multiple of {multiple} for its backbone")


def _false_reductions(recipe: Recipe) -> Iterator[Complaint]:
    for k, branch in enumerate(recipe.branches):
        reached = recipe.base
        try:
            for step in branch.reduced:
                reached = step.of(reached)
        except ValueError as error:
            yield Complaint(("branches", k, "reduced"), str(error))
            continue
        if branch.reduced and reached != branch.backbone:
            yield Complaint(("branches", k, "reduced"), f"leads from the base to {reached!r}, not {branch.backbone!r}")


def _wrong_lengths(recipe: Recipe) -> Iterator[Complaint]:
    for name, option in (("branches", "steps_each"), ("classifier", "shares"), ("joint", "shares")):
        values = getattr(getattr(recipe.stages, name), option, None)
        if values is not None and len(values) != len(recipe.branches):
            yield Complaint(("stages", name, option), f"has {len(values)} values for {len(recipe.branches)} branches")


def _missing_classifier(recipe: Recipe) -> Iterator[Complaint]:
    if recipe.classifier:
        return
    if len(recipe.branches) > 1:
        yield Complaint(("classifier",), MISSING)
    for name in ("classifier", "joint"):
        if getattr(recipe.stages, name):
            yield Complaint(("stages", name), "needs a classifier; the recipe names none")
    if recipe.stages.calibrate and not (recipe.stages.base or recipe.branches[-1].weights):
        yield Complaint(("stages", "calibrate"), "needs stages.base, or weights of its one branch")


def _missing_stages(recipe: Recipe) -> Iterator[Complaint]:
    trained = [name for name in ("base", "rank", "branches", "classifier", "joint") if getattr(recipe.stages, name)]
    if trained and recipe.data.train is None:
        yield Complaint(("stages", trained[0]), "needs data.train")
    if recipe.stages.branches and not recipe.stages.rank and len(recipe.branches) > 1:
        yield Complaint(("stages", "branches"), "needs stages.rank, which sorts the tiles by difficulty")
    if recipe.stages.evaluate and recipe.data.test is None and "evaluate" in recipe.stages.model_fields_set:
        yield Complaint(("stages", "evaluate"), "needs data.test")
    if recipe.stages.classifier and recipe.stages.classifier.ranked_steps and not recipe.stages.rank:
        yield Complaint(("stages", "classifier", "ranked_steps"), "needs stages.rank, whose classes are learned")
    yield from _unmeasurable(recipe)
    for name in trained:
        if getattr(getattr(recipe.stages, name), "keep", None) == "best" and recipe.data.valid is None:
            yield Complaint(("stages", name, "keep"), "best needs data.valid")


def _unmeasurable(recipe: Recipe) -> Iterator[Complaint]:
    """What the stages that look at the whole container cannot do."""
    stages, classifier = recipe.stages, recipe.classifier
    if recipe.data.valid is None:
        if stages.calibrate:
            yield Complaint(("stages", "calibrate"), "needs data.valid")
        if stages.evaluate and stages.evaluate.compare:
            yield Complaint(("stages", "evaluate", "compare"), "needs data.valid, where other classifiers are fitted")
        if classifier and not classifier.trained and (stages.joint or stages.calibrate):
            yield Complaint(("classifier",), "is not trained but fitted, which needs data.valid")
        if stages.evaluate and stages.evaluate.budgets and len(recipe.branches) == 1:
            yield Complaint(("stages", "evaluate", "budgets"), "needs data.valid, where one network is set to them")
    if classifier is None:
        return
    if stages.classifier and not classifier.trained:
        yield Complaint(("stages", "classifier"), "has nothing to train; leave it out, or write classifier: null")
    if stages.branches and not (classifier.trained or stages.calibrate or stages.joint):
        yield Complaint(("classifier",), "is fitted where the container is put together; add stages.calibrate")
    if stages.calibrate and classifier.trained and not (stages.classifier or stages.joint):
        yield Complaint(("stages", "calibrate"), "needs stages.classifier or stages.joint, which train the classifier")
