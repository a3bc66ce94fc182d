"""The contract of stages: one step of a run, its options and its place among the others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from lowvision.config.options import Options

Trainable = Literal["base", "branches", "container"]
"""Networks of a run: the base alone, each branch alone, or the container of branches and classifier."""


class Stage(Options, ABC):
    """One step of a run, with its options, by its name under `stages` of a recipe."""

    place: ClassVar[float] = 55
    """Position in the order of stages: base 10, rank 20, branches 30, classifier 40, joint 50, calibrate 60, evaluate
    70. Stages of equal place run in the order of their names."""
    default: ClassVar[bool] = False
    """True: the stage runs unless the recipe sets it to null. False: it runs if the recipe names it."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Data sets without which it cannot run: `train`, `valid`, `test`."""
    trains: ClassVar[Trainable | None] = None
    """Network whose weights it writes; later stages use them in place of those of earlier stages."""
    weights_options: ClassVar[tuple[str, ...]] = ()
    """Names of its options, of type `str` or `tuple[str, ...]`, None allowed, that hold weights files or names of
    shipped weights; a run starts only if all can be read."""

    @abstractmethod
    def run(self, context: Any) -> None:
        """Do the work of the stage, given its `lowvision.StageContext`; called once per process of the run.

        A stage that ends without an error is finished and never runs again in its run folder. One that was
        interrupted runs again from its beginning, or from the last checkpoint of `StageContext.train`.
        """

    def issues(self, recipe: Any) -> Iterable[tuple[str, str]]:
        """Yield what keeps it from running with a recipe: the name of an option, or "" for the stage, and a message."""
        return ()

    @property
    def result(self) -> str:
        """Name of the weights file in its folder that later stages use, if it `trains` a network."""
        return "last.safetensors"
