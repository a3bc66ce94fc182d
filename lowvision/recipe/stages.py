"""What a recipe may say of its stages, as frozen options models."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lowvision.config.options import Options
from lowvision.training.options import Fit, RoutedFit


class Base(Fit):
    """Trains the base, the largest branch's network, alone on all tiles."""

    start: str | None = None
    """A weights file, or the name of shipped weights, to start from; goes before the last branch's `weights`. Of a
    container's file it takes the branch that is this very network."""
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
    start: str | None = None
    """A weights file of a container, or the name of a shipped one, whose branches they start from, instead of from the
    base or their `weights`; the base's own network goes on from the base that the run has trained."""
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
    error_tiles: int = Field(default=4096, ge=1)
    """Training tiles on which each branch is measured, once, for a classifier that predicts errors."""


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
