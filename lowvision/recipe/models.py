"""A whole recipe as a frozen options model, and the laws that span it; what it says of stages is in `stages.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lowvision.config.options import Options
from lowvision.config.validation import MISSING, ValidationIssue, as_error
from lowvision.data import augment
from lowvision.models.architecture import (
    Architecture,
    BackboneChoice,
    ClassifierChoice,
    DatasetChoice,
    TaskChoice,
    Tile,
)
from lowvision.plugins.choice import Choice
from lowvision.plugins.contracts import Backbone, Reducer
from lowvision.recipe.stages import Stages

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
    teachers: tuple[str, ...] = ()
    """Weights files, or names of shipped ones: the mean of their outputs replaces the ground truth of `train`."""
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


def _impossible_scales(recipe: Recipe) -> Iterator[ValidationIssue]:
    for k, branch in enumerate(recipe.branches):
        scales = branch.backbone.scales
        if scales is not None and recipe.task.scale not in scales:
            possible = ", ".join(map(str, scales))
            yield ValidationIssue(
                ("branches", k), f"can be built for scale {possible}; the task has scale {recipe.task.scale}"
            )


def _unfit_tiles(recipe: Recipe) -> Iterator[ValidationIssue]:
    for multiple in sorted({branch.backbone.multiple_of for branch in recipe.branches}):
        if recipe.tile.size % multiple:
            yield ValidationIssue(
                ("tile", "size"), f"{recipe.tile.size} must be a multiple of {multiple} for its backbone"
            )


def _false_reductions(recipe: Recipe) -> Iterator[ValidationIssue]:
    for k, branch in enumerate(recipe.branches):
        reached = recipe.base
        try:
            for step in branch.reduced:
                reached = step.of(reached)
        except ValueError as error:
            listed = "levels, and branches, go from the smallest to the last, which is the base"
            yield ValidationIssue(("branches", k, "reduced"), f"{error}; {listed}")
            continue
        if branch.reduced and reached != branch.backbone:
            yield ValidationIssue(
                ("branches", k, "reduced"), f"leads from the base to {reached!r}, not {branch.backbone!r}"
            )


def _wrong_lengths(recipe: Recipe) -> Iterator[ValidationIssue]:
    for name, option in (("branches", "steps_each"), ("classifier", "shares"), ("joint", "shares")):
        values = getattr(getattr(recipe.stages, name), option, None)
        if values is not None and len(values) != len(recipe.branches):
            yield ValidationIssue(
                ("stages", name, option), f"has {len(values)} values for {len(recipe.branches)} branches"
            )


def _missing_classifier(recipe: Recipe) -> Iterator[ValidationIssue]:
    if recipe.classifier:
        return
    if len(recipe.branches) > 1:
        yield ValidationIssue(("classifier",), MISSING)
    for name in ("classifier", "joint"):
        if getattr(recipe.stages, name):
            yield ValidationIssue(("stages", name), "needs a classifier; the recipe names none")
    if recipe.stages.calibrate and not (recipe.stages.base or recipe.branches[-1].weights):
        yield ValidationIssue(("stages", "calibrate"), "needs stages.base, or weights of its one branch")


def _missing_stages(recipe: Recipe) -> Iterator[ValidationIssue]:
    trained = [name for name in ("base", "rank", "branches", "classifier", "joint") if getattr(recipe.stages, name)]
    if trained and recipe.data.train is None:
        yield ValidationIssue(("stages", trained[0]), "needs data.train")
    if recipe.stages.branches and not recipe.stages.rank and len(recipe.branches) > 1:
        yield ValidationIssue(("stages", "branches"), "needs stages.rank, which sorts the tiles by difficulty")
    if recipe.stages.evaluate and recipe.data.test is None and "evaluate" in recipe.stages.model_fields_set:
        yield ValidationIssue(("stages", "evaluate"), "needs data.test")
    if recipe.stages.classifier and recipe.stages.classifier.ranked_steps and not recipe.stages.rank:
        yield ValidationIssue(("stages", "classifier", "ranked_steps"), "needs stages.rank, whose classes are learned")
    yield from _unmeasurable(recipe)
    for name in trained:
        if getattr(getattr(recipe.stages, name), "keep", None) == "best" and recipe.data.valid is None:
            yield ValidationIssue(("stages", name, "keep"), "best needs data.valid")


def _unmeasurable(recipe: Recipe) -> Iterator[ValidationIssue]:
    """What the stages that look at the whole container cannot do."""
    stages, classifier = recipe.stages, recipe.classifier
    if recipe.data.valid is None:
        if stages.calibrate:
            yield ValidationIssue(("stages", "calibrate"), "needs data.valid")
        if stages.evaluate and stages.evaluate.compare:
            yield ValidationIssue(
                ("stages", "evaluate", "compare"), "needs data.valid, where other classifiers are fitted"
            )
        if classifier and not classifier.trained and (stages.joint or stages.calibrate):
            yield ValidationIssue(("classifier",), "is not trained but fitted, which needs data.valid")
        if stages.evaluate and stages.evaluate.budgets and len(recipe.branches) == 1:
            yield ValidationIssue(
                ("stages", "evaluate", "budgets"), "needs data.valid, where one network is set to them"
            )
    if classifier is None:
        return
    if stages.classifier and not classifier.trained:
        yield ValidationIssue(("stages", "classifier"), "has nothing to train; leave it out, or write classifier: null")
    if stages.branches and not (classifier.trained or stages.calibrate or stages.joint):
        yield ValidationIssue(("classifier",), "is fitted where the container is put together; add stages.calibrate")
    if stages.calibrate and classifier.trained and not (stages.classifier or stages.joint):
        yield ValidationIssue(
            ("stages", "calibrate"), "needs stages.classifier or stages.joint, which train the classifier"
        )
