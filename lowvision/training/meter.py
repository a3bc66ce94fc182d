"""Average the metrics of training steps, and measure the speed of the steps."""

from __future__ import annotations

import time

from accelerate import Accelerator
from torch import Tensor

from lowvision.system import devices
from lowvision.training.log import Value


class Meter:
    """Means over the steps since the last `read`, and the time spent on data and on computing."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._step_time = 0.0
        self._data_time = 0.0
        self._timer = time.perf_counter()

    def restart_timer(self) -> None:
        """Exclude the time since the last call of any method, e.g. a validation."""
        self._timer = time.perf_counter()

    def end_data_wait(self) -> None:
        """Count the time since the last call as waiting for tiles."""
        self._data_time += self._elapsed()

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Count the time since the last call as one training step with these metrics."""
        self._step_time += self._elapsed()
        for name, value in metrics.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        self._steps += 1

    def read(self, accelerator: Accelerator) -> dict[str, Value]:
        """Return the means over steps and processes, steps per second and the share of data time; then reset."""
        devices.synchronize(accelerator.device)  # an accelerator may still have steps queued, which take their time
        self._step_time += self._elapsed()
        seconds = self._step_time + self._data_time
        means = {name: accelerator.reduce(total / self._steps, "mean") for name, total in self._sums.items()}
        metrics: dict[str, Value] = {name: mean.tolist() for name, mean in means.items()}
        metrics |= {"steps_per_second": self._steps / seconds, "data_share": self._data_time / seconds}
        self._sums, self._steps, self._step_time, self._data_time = {}, 0, 0.0, 0.0
        return metrics

    def _elapsed(self) -> float:
        before, self._timer = self._timer, time.perf_counter()
        return self._timer - before
