"""A recipe as an options model, and the constraints across its options; stages have their own, `Stage.issues`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lowvision.config.options import Options
from lowvision.config.validation import MISSING, ValidationIssue, as_error
from lowvision.data import augment
from lowvision.errors import summary_of
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
from lowvision.plugins.observers import ObserverOptions
from lowvision.recipe.stage_menu import Stages

ReducerChoice = Annotated[Reducer, Choice("reducers")]
ObserverChoice = Annotated[ObserverOptions, Choice("observers")]
FAULTY_ISSUES = "its check of the recipe raises"
"""Start of the message about a stage whose `issues` fails."""
DEFAULT_AUGMENT = ("D4",)
"""The eight flips and quarter turns."""


class Reduction(Options):
    """One reduction step from the base to a smaller network."""

    reducer: ReducerChoice
    """The reducer."""
    level: int | float | str
    """The level of the reducer."""

    def of(self, backbone: Backbone) -> Backbone:
        """Return the smaller backbone. Raises ValueError if there is none."""
        return self.reducer.reduce(backbone, self.level)


class Branch(Options):
    """One network of the container: a backbone and its initial weights."""

    backbone: BackboneChoice
    """The backbone of this branch."""
    weights: str | None = None
    """Weights file of this network; null: the stages train it."""
    reduced: tuple[Reduction, ...] = ()
    """Reduction steps from the base to this network, along which it inherits the base's weights."""

    @model_validator(mode="before")
    @classmethod
    def _bare_backbone(cls, value: Any) -> Any:
        bare = isinstance(value, str | Backbone) or (isinstance(value, dict) and "backbone" not in value)
        return {"backbone": value} if bare else value


class Data(Options):
    """Data sets: `train` for training, `valid` for validation and calibration, `test` for evaluation only."""

    train: DatasetChoice | None = None
    """Training set."""
    valid: DatasetChoice | None = None
    """Validation set, by which the best weights are selected."""
    test: DatasetChoice | None = None
    """Test set, for `evaluate` and `fidelity` only."""
    on_error: Literal["stop", "skip"] = "stop"
    """A training file that cannot be read: `stop` before training, or `skip` it; skipped files are named."""
    teachers: tuple[str, ...] = ()
    """Weights files or names of shipped weights; the mean of their outputs replaces the ground truth of `train`."""
    degrade: Literal["workers", "device"] = "workers"
    """Random degradations of training tiles: by the `workers` that load them, or in batches on the `device`."""
    augment: tuple[Any, ...] = DEFAULT_AUGMENT
    """Transforms of albumentations, by name or as {name: arguments}; applied equally to lq and gt."""
    valid_tiles: int = Field(default=128, ge=1)
    """Number of fixed tiles of `valid` for validation during training."""
    workers: int | None = Field(default=None, ge=0)
    """Processes that load tiles for each training process; 0: it loads them itself. Null: 1 on CPUs, on accelerators
    up to 8, by cores."""

    @field_validator("augment")
    @classmethod
    def _are_transforms(cls, specifications: tuple[Any, ...]) -> tuple[Any, ...]:
        # The default is not checked: importing albumentations takes long.
        if specifications != DEFAULT_AUGMENT and (issues := list(augment.issues(specifications))):
            raise as_error("Data", issues)
        return specifications


class Teacher(Options):
    """A trained network to imitate: its output replaces the ground truth of `train`, and of sets that have none.

    It runs once, on crops with context around them; the results are cached.
    """

    weights: str
    """Weights file, or a name of shipped weights; of a container the last branch."""
    crops: int = Field(default=2000, ge=1)
    """Maximum number of crops of `train`; they do not overlap."""
    size: int = Field(default=64, ge=8)
    """Height and width of a crop, in LQ pixels."""
    context: int = Field(default=16, ge=0)
    """LQ pixels around a crop that are also passed to the teacher; should be half of its receptive field."""
    centre: int = Field(default=256, ge=16)
    """Maximum height and width of the centre of each photograph of `valid` and `test`, in LQ pixels."""

    @model_validator(mode="before")
    @classmethod
    def _bare_weights(cls, value: Any) -> Any:
        return {"weights": value} if isinstance(value, str) else value


class Recipe(Options):
    """A resolved recipe: branches are listed, all defaults are filled in."""

    task: TaskChoice
    """The degradation to invert."""
    branches: tuple[Branch, ...] = Field(min_length=1)
    """The networks of the container, cheapest first; the last one is the base."""
    classifier: ClassifierChoice | None = None
    """Predicts the difficulty of tiles; null if there is only one branch."""
    tile: Tile = Tile()
    """Size and overlap of tiles."""
    teacher: Teacher | None = None
    """A trained network to imitate; or the path of its weights."""
    data: Data = Data()
    """The data sets."""
    stages: Stages = Field(default_factory=dict, validate_default=True)
    """The stages to run."""
    about: str = ""
    """Purpose and training data of the weights, for their header."""
    license: str = ""
    """License of the weights, e.g. `Apache-2.0`, for their header."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of all random numbers."""
    precision: Literal["no", "fp16", "bf16"] = "no"
    """Mixed precision of training."""
    trackers: tuple[str, ...] = ()
    """Experiment trackers by their names in Accelerate, e.g. `tensorboard`."""
    observers: tuple[ObserverChoice, ...] = ()
    """Observers that follow the run, e.g. `csv`, `{early_stopping: {patience: 5}}`."""

    @property
    def base(self) -> Backbone:
        """The network to accelerate: the backbone of the last branch."""
        return self.branches[-1].backbone

    @property
    def architecture(self) -> Architecture:
        """The architecture of the container, or of the single network."""
        return Architecture(
            task=self.task,
            branches=tuple(branch.backbone for branch in self.branches),
            classifier=self.classifier,
            tile=self.tile,
        )

    @property
    def students(self) -> tuple[int, ...]:
        """The branches without weights, which the stage `distil` trains."""
        return tuple(k for k, branch in enumerate(self.branches) if branch.weights is None)

    def is_teacher(self, k: int) -> bool:
        """Return True if branch k is the teacher itself."""
        return self.teacher is not None and self.branches[k].weights == self.teacher.weights

    @model_validator(mode="after")
    def _satisfies_constraints(self) -> Self:
        issues = [
            *_impossible_scales(self),
            *_unfit_tiles(self),
            *_wrong_reductions(self),
            *_unfit_classifier(self),
            *_missing_data(self),
            *_unfit_teacher(self),
            *_stage_issues(self),
        ]
        if issues:
            raise as_error("Recipe", issues)
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


def _wrong_reductions(recipe: Recipe) -> Iterator[ValidationIssue]:
    for k, branch in enumerate(recipe.branches):
        reduced = recipe.base
        try:
            for step in branch.reduced:
                reduced = step.of(reduced)
        except ValueError as error:
            order = "order levels and branches from the smallest to the last, which is the base"
            yield ValidationIssue(("branches", k, "reduced"), f"{error}; {order}")
            continue
        if branch.reduced and reduced != branch.backbone:
            yield ValidationIssue(
                ("branches", k, "reduced"), f"reduces the base to {reduced!r}, not to {branch.backbone!r}"
            )


def _unfit_classifier(recipe: Recipe) -> Iterator[ValidationIssue]:
    stages, classifier = recipe.stages, recipe.classifier
    if classifier is None:
        if len(recipe.branches) > 1:
            yield ValidationIssue(("classifier",), MISSING)
        return
    if classifier.trained:
        return
    if recipe.data.valid is None and (stages.joint or stages.calibrate):
        yield ValidationIssue(("classifier",), "is fitted instead of trained, which needs data.valid")
    if stages.branches and not (stages.calibrate or stages.joint):
        yield ValidationIssue(("classifier",), "is fitted when the container is assembled; add stages.calibrate")


def _missing_data(recipe: Recipe) -> Iterator[ValidationIssue]:
    for split in ("train", "valid", "test"):
        in_need = [name for name, stage in recipe.stages.items() if split in stage.needs]
        if in_need and getattr(recipe.data, split) is None:
            yield ValidationIssue(("stages", in_need[0]), f"needs data.{split}")
    for name, stage in recipe.stages.items():
        if getattr(stage, "kept", None) == "best" and recipe.data.valid is None:
            yield ValidationIssue(("stages", name, "keep"), "best needs data.valid")


def _stage_issues(recipe: Recipe) -> Iterator[ValidationIssue]:
    """Yield the issues that stages find themselves."""
    for name, stage in recipe.stages.items():
        try:
            issues = [*stage.issues(recipe)]
        except Exception as error:  # the stage of a plugin may raise anything
            issues = [("", f"{FAULTY_ISSUES} {summary_of(error)}; report it to the author of its plugin")]
        for option, message in issues:
            yield ValidationIssue(("stages", name, option) if option else ("stages", name), message)


def _unfit_teacher(recipe: Recipe) -> Iterator[ValidationIssue]:
    stages, teacher = recipe.stages, recipe.teacher
    if teacher is None:
        return
    if recipe.data.teachers:
        yield ValidationIssue(("data", "teachers"), "cannot be combined with `teacher`; give one of them")
    predicts = recipe.classifier and recipe.classifier.predicts == "error" and stages.classifier
    needed = recipe.tile.size + 2 * (recipe.tile.size // 4) if predicts else recipe.tile.size
    if teacher.size < needed:
        yield ValidationIssue(
            ("teacher", "size"), f"{teacher.size} is too small for these tiles; give at least {needed}"
        )
