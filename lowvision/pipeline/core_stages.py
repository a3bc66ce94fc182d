"""The stages of the core and their options, as the plugin system provides them; each imports its work when it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from lowvision.imaging.protocol import Protocol
from lowvision.plugins.choices import Choices, distinct
from lowvision.plugins.core_metrics import PSNR, SSIM
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.metrics import Metric
from lowvision.plugins.registry import Registry
from lowvision.plugins.stages import Stage, Trainable
from lowvision.training.options import RoutedFit
from lowvision.training.stage import TrainingStage

if TYPE_CHECKING:
    from lowvision.pipeline.stages.context import StageContext
    from lowvision.recipe.models import Recipe


Side = Annotated[int, Field(ge=8)]
"""Height and width of a tile in LQ pixels."""


class Base(TrainingStage):
    """Train the base, i.e. the network of the last branch, on all tiles."""

    place: ClassVar[float] = 10
    trains: ClassVar[Trainable | None] = "base"
    weights_options: ClassVar[tuple[str, ...]] = ("start",)

    start: str | None = None
    """Initial weights: a weights file or a name of shipped weights; replaces `weights` of the last branch. From a
    container, the branch with the same architecture is used."""
    tile: Side | Annotated[tuple[Side, ...], Field(min_length=1)] | None = None
    """Height and width of training tiles, in LQ pixels; a list, e.g. [32, 48, 64], is used in turn, each size for an
    equal part of the steps. Null: `tile.size`. The later stages keep `tile.size`."""
    candidates: int = Field(default=1, ge=1)
    """Tiles drawn per training tile, of which the most detailed one is used; 1: uniform, as in the paper."""

    @property
    def tiles(self) -> tuple[int, ...]:
        """Sizes of tiles in their order; empty: `tile.size`."""
        return self.tile if isinstance(self.tile, tuple) else (self.tile,) if self.tile else ()

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import base

        base.run(context, self)


class Distil(TrainingStage):
    """Train each branch without weights to imitate the teacher, on all tiles."""

    place: ClassVar[float] = 15
    weights_options: ClassVar[tuple[str, ...]] = ("start",)

    start: str | None = None
    """Initial weights: a weights file or a name of shipped weights. From a container, a student starts from the branch
    with the same architecture; without one, from random weights."""
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


class Branches(TrainingStage):
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

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import branches

        branches.run(context, self)


class ClassifierStage(RoutedFit, TrainingStage):
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

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import classifier

        classifier.run(context, self)


class Joint(RoutedFit, TrainingStage):
    """Train classifier and branches jointly."""

    place: ClassVar[float] = 50
    trains: ClassVar[Trainable | None] = "container"
    weights_options: ClassVar[tuple[str, ...]] = ("start",)

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import joint

        joint.run(context, self)


class Calibrate(Stage):
    """Measure PSNR over cost on `data.valid`, and store the curve in the weights file, for `--max-loss`.

    A single adaptive network is set to several costs instead, for `--max-loss` and `--budget`.
    """

    place: ClassVar[float] = 60
    trains: ClassVar[Trainable | None] = "container"

    points: int = Field(default=9, ge=3)
    """Number of points. Container: all tiles to the first branch, as trained, all to the last, and points between.
    Adaptive network: equally spaced costs."""
    size: int = Field(default=256, ge=16)
    """Maximum height and width, in LQ pixels, of the centre of each photograph that is measured."""
    batch: int = Field(default=16, ge=1)
    """Tiles of one branch that are restored at a time."""

    @property
    def result(self) -> str:
        return "container.safetensors"

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import calibrate

        calibrate.run(context, self)


class Fidelity(Stage):
    """Measure how close the container is to its teacher, and how much faster, on `data.test`; write a report."""

    place: ClassVar[float] = 65
    needs: ClassVar[tuple[str, ...]] = ("test",)

    points: int = Field(default=5, ge=2)
    """Number of points of the calibrated curve that are measured, in addition to that of `max_loss`."""
    max_loss: float = Field(default=0.3, ge=0)
    """Loss in dB (`restore --max-loss`) of the point whose worst tiles are shown."""
    rounds: int = Field(default=2, ge=1)
    """Timed rounds, of which the quickest counts; every way is timed once in each."""
    runtime: str = "auto"
    """Runtime of teacher and container; `auto`: the fastest installed one."""
    crops: int = Field(default=6, ge=0)
    """Number of worst tiles that are shown next to those of the teacher."""

    def issues(self, recipe: Recipe) -> Iterator[tuple[str, str]]:
        if not (recipe.classifier and recipe.is_teacher(len(recipe.branches) - 1)):
            yield "", "needs a `teacher`, whose weights are the last branch, and a classifier"
        if not recipe.stages.calibrate:
            yield "", "needs stages.calibrate, whose curve it measures"

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import fidelity

        fidelity.run(context, self)


class Evaluate(Stage):
    """Measure quality, cost and seconds on `data.test`, and write the report."""

    place: ClassVar[float] = 70
    default: ClassVar[bool] = True

    budgets: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Additional costs to measure at (`restore --budget`): fractions of the base's cost on the whole image. For a
    single adaptive network: fractions of its cost on tiles, set on `data.valid`."""
    compare: bool = False
    """Also measure, at the cost of the classifier, the routing of untrained classifiers, fitted on `data.valid`, and of
    an oracle."""
    protocol: Protocol = "basicsr"
    """Luma of photographs whose files are grey, for RGB: `basicsr`, of the image made RGB, as BasicSR's code measures;
    `paper`, the grey values, as papers measure."""
    metrics: Annotated[tuple[Metric, ...], Choices("metrics")] = (PSNR(), SSIM())
    """Measures of quality, one or a list; columns of every report. Without `psnr`, a report states no gains."""
    pictures: int = Field(default=4, ge=0)
    """Number of images whose restored image and route map are saved."""
    batch: int = Field(default=16, ge=1)
    """Tiles of one branch that are restored at a time."""

    def named_metrics(self, registry: Registry) -> dict[str, Metric]:
        """Return the metrics by the name of their columns; a repeated name gets a number."""
        names = distinct([registry.name_of(metric) for metric in self.metrics])
        return dict(zip(names, self.metrics, strict=True))

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import evaluate

        evaluate.run(context, self)


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
