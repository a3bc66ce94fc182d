"""The stages of the core that measure what others have trained: calibrate, fidelity and evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from lowvision.imaging.protocol import Protocol
from lowvision.plugins.choices import Choices, distinct
from lowvision.plugins.core_metrics import PSNR, SSIM
from lowvision.plugins.metrics import Metric
from lowvision.plugins.registry import Registry
from lowvision.plugins.stages import Stage, Trainable

if TYPE_CHECKING:
    from lowvision.pipeline.stages.context import StageContext
    from lowvision.recipe.models import Recipe


class Calibrate(Stage):
    """Measure PSNR over cost on `data.valid`, and store the curve in the weights file, for `--max-loss`.

    A single adaptive network is set to several costs instead, for `--max-loss` and `--budget`.
    """

    place: ClassVar[float] = 60
    trains: ClassVar[Trainable | None] = "container"

    points: int = Field(default=9, ge=3)
    """Number of points. Container: all tiles to the first branch, as trained, all to the last, and points between.
    Adaptive network: equally spaced costs."""
    size: int | None = Field(default=None, ge=16)
    """Maximum height and width, in LQ pixels, of the centre of each photograph that is measured; null: at most 8 times
    `tile.size`, and no more than tiles cover with their least overlap."""
    batch: int = Field(default=16, ge=1)
    """Tiles of one branch that are restored at a time."""

    @property
    def result(self) -> str:
        return "container.safetensors"

    def issues(self, recipe: Recipe) -> Iterator[tuple[str, str]]:
        stages, classifier = recipe.stages, recipe.classifier
        if recipe.data.valid is None:
            yield "", "needs data.valid"
        if classifier is None:
            if not (stages.base or recipe.branches[-1].weights):
                yield "", "needs stages.base, or weights of the branch"
        elif classifier.trained and not (stages.classifier or stages.joint):
            yield "", "needs stages.classifier or stages.joint, which train the classifier"

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
    metrics: Annotated[tuple[Metric, ...], Choices("metrics")] = Field(default_factory=lambda: (PSNR(), SSIM()))
    """Measures of quality, one or a list; columns of every report. Without `psnr`, a report states no gains."""
    pictures: int = Field(default=4, ge=0)
    """Number of images whose restored image and route map are saved."""
    batch: int = Field(default=16, ge=1)
    """Tiles of one branch that are restored at a time."""

    def named_metrics(self, registry: Registry) -> dict[str, Metric]:
        """Return the metrics by the name of their columns; a repeated name gets a number."""
        names = distinct([registry.name_of(metric) for metric in self.metrics])
        return dict(zip(names, self.metrics, strict=True))

    def issues(self, recipe: Recipe) -> Iterator[tuple[str, str]]:
        if recipe.data.test is None and "evaluate" in recipe.stages.written:
            yield "", "needs data.test"
        if recipe.data.valid is None and self.compare:
            yield "compare", "needs data.valid, to fit other classifiers"
        if recipe.data.valid is None and self.budgets and len(recipe.branches) == 1:
            yield "budgets", "needs data.valid, to set a single network to them"

    def run(self, context: StageContext) -> None:
        from lowvision.pipeline.stages import evaluate

        evaluate.run(context, self)
