"""Means over training steps, and how fast the steps were."""

from __future__ import annotations

import time

from accelerate import Accelerator
from torch import Tensor

from lowvision.training.log import Value


class Meter:
    """Means, over the steps since it was last read, of what a step reports."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._worked = 0.0
        self._waited = 0.0
        self._mark = time.perf_counter()

    def lap(self) -> None:
        """Nothing since the last lap or step counts: the loop did something else."""
        self._mark = time.perf_counter()

    def got_tiles(self) -> None:
        """The time since the last lap or step was spent waiting for tiles."""
        self._waited += self._passed()

    def add(self, facts: dict[str, Tensor]) -> None:
        """A step is done, and reports this."""
        self._worked += self._passed()
        for name, value in facts.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        self._steps += 1

    def read(self, accelerator: Accelerator) -> dict[str, Value]:
        """The means over steps and processes, steps a second, and the share of a step spent waiting; starts anew."""
        seconds = self._worked + self._waited
        means = {name: accelerator.reduce(total / self._steps, "mean") for name, total in self._sums.items()}
        facts: dict[str, Value] = {name: mean.tolist() for name, mean in means.items()}
        facts |= {"steps_per_second": self._steps / seconds, "data_share": self._waited / seconds}
        self._sums, self._steps, self._worked, self._waited = {}, 0, 0.0, 0.0
        return facts

    def _passed(self) -> float:
        before, self._mark = self._mark, time.perf_counter()
        return self._mark - before
