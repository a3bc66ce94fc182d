"""The base class of stages that train by the loop of `lowvision.training.loop`."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from lowvision.plugins.stages import Stage
from lowvision.training.options import Fit


class TrainingStage(Fit, Stage, ABC):
    """A stage with the options of all training: steps, batch, learning rate, optimizer and others.

    If a run is continued with more steps, a finished stage of this type continues from its last checkpoint.
    """

    needs: ClassVar[tuple[str, ...]] = ("train",)

    @property
    def result(self) -> str:
        return f"{self.kept}.safetensors"
