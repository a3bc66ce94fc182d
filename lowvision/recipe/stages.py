"""The options of the stages of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lowvision.config.options import Options
from lowvision.imaging.protocol import Protocol
from lowvision.training.options import Fit, RoutedFit


class Base(Fit):
    """Train the base, i.e. the network of the last branch, on all tiles."""

    start: str | None = None
    """Initial weights: a weights file or a name of shipped weights; replaces `weights` of the last branch. From a
    container, the branch with the same architecture is used."""
    tile: int | None = Field(default=None, ge=8)
    """Height and width of training tiles, in LQ pixels; null: `tile.size`. The later stages keep `tile.size`."""
    candidates: int = Field(default=1, ge=1)
    """Tiles drawn per training tile, of which the most detailed one is used; 1: uniform, as in the paper."""


class Distil(Fit):
    """Train each branch without weights to imitate the teacher, on all tiles."""

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


class Rank(Options):
    """Sort the training tiles into one class per branch, by their PSNR under a trained network."""

    weights: str | None = None
    """Weights file of the network that ranks; null: the base."""
    stride: int | None = Field(default=None, ge=1)
    """Stride of the grid of tiles, in LQ pixels; null: half a tile."""
    limit: int | None = Field(default=None, ge=1)
    """Maximum number of tiles to rank, drawn at random; null: all."""
    batch: int = Field(default=32, ge=1)
    """Tiles per forward pass."""


class Branches(Fit):
    """Train branch k on the tiles of class k."""

    own_class: float = Field(default=1.0, ge=0, le=1)
    """Fraction of tiles from the branch's own class; the rest is from all classes. 1: as in the paper."""
    start: str | None = None
    """Initial weights: a weights file of a container or a name of shipped weights; replaces the base and `weights`. The
    last branch still starts from the base that the run has trained."""
    from_base: bool = True
    """Start from the base: the last branch from its weights, smaller ones from those that their reducers inherit."""
    steps_each: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Steps per branch, in place of `steps`: small branches need more than the last one, which is trained already."""

    @property
    def fewest_steps(self) -> int:
        return min(self.steps_each) if self.steps_each else self.steps

    def of(self, k: int) -> Branches:
        """Return the options for branch k."""
        return self if self.steps_each is None else self.model_copy(update={"steps": self.steps_each[k]})


class ClassifierStage(RoutedFit):
    """Train the classifier; the branches are frozen."""

    ranked_steps: int = Field(default=0, ge=0)
    """Initial steps in which the classifier learns the classes of the ranking; fast, because no branch runs."""
    ranked_lr: float = Field(default=1e-3, gt=0)
    """Initial learning rate of `ranked_steps`."""
    error_tiles: int = Field(default=4096, ge=1)
    """Training tiles on which each branch is measured, once, for a classifier that predicts errors."""


class Joint(RoutedFit):
    """Train classifier and branches jointly."""


class Calibrate(Options):
    """Measure PSNR over cost on `data.valid`, and store the curve in the weights file, for `--max-loss`.

    A single adaptive network is set to several costs instead, for `--max-loss` and `--budget`.
    """

    points: int = Field(default=9, ge=3)
    """Number of points. Container: all tiles to the first branch, as trained, all to the last, and points between.
    Adaptive network: equally spaced costs."""
    size: int = Field(default=256, ge=16)
    """Maximum height and width, in LQ pixels, of the centre of each photograph that is measured."""
    batch: int = Field(default=16, ge=1)
    """Tiles of one branch that are restored at a time."""


class Fidelity(Options):
    """Measure how close the container is to its teacher, and how much faster, on `data.test`; write a report."""

    points: int = Field(default=5, ge=2)
    """Number of points of the calibrated curve that are measured, besides the one of `max_loss`."""
    max_loss: float = Field(default=0.3, ge=0)
    """Loss in dB of the point whose worst tiles are shown, as `restore --max-loss`."""
    rounds: int = Field(default=2, ge=1)
    """Timed rounds, of which the quickest counts; every way is timed once in each."""
    runtime: str = "auto"
    """Runtime of teacher and container; `auto`: the fastest installed one."""
    crops: int = Field(default=6, ge=0)
    """Number of the worst tiles that are shown beside the teacher's."""


class Evaluate(Options):
    """Measure quality, cost and seconds on `data.test`, and write the report."""

    budgets: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Additional costs to measure at, as `restore --budget`: fractions of the base's cost on the whole image. For a
    single adaptive network: fractions of its cost on tiles, set on `data.valid`."""
    compare: bool = False
    """Also measure, at the cost of the classifier, the routing of untrained classifiers, fitted on `data.valid`, and of
    an oracle."""
    protocol: Protocol = "basicsr"
    """Luma of photographs whose files are grey, for RGB: `basicsr`, of the image made RGB, as BasicSR's code measures;
    `paper`, the grey values, as papers measure."""
    pictures: int = Field(default=4, ge=0)
    """Number of images whose restored image and route map are saved."""
    batch: int = Field(default=16, ge=1)
    """Tiles of one branch that are restored at a time."""


class Stages(Options):
    """The stages in their order. Absent ones are skipped, except `evaluate`, which runs unless it is null."""

    base: Base | None = None
    """Train the base on all tiles."""
    distil: Distil | None = None
    """Train the branches without weights to imitate the teacher."""
    rank: Rank | None = None
    """Sort the training tiles by difficulty."""
    branches: Branches | None = None
    """Train each branch on its own class."""
    classifier: ClassifierStage | None = None
    """Train the classifier."""
    joint: Joint | None = None
    """Train classifier and branches jointly."""
    calibrate: Calibrate | None = None
    """Measure PSNR over cost."""
    fidelity: Fidelity | None = None
    """Measure fidelity to the teacher, and seconds."""
    evaluate: Evaluate | None = Evaluate()
    """Measure the result on `data.test`."""
