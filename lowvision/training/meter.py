"""Average the metrics of training steps, and measure the speed of the steps."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from accelerate import Accelerator
from torch import Tensor

from lowvision.system import devices
from lowvision.training.log import Value

Layout = tuple[tuple[str, torch.Size], ...]
"""Names and shapes of metrics whose values are one vector."""


class Sums:
    """Sums of the metrics of several passes, as one vector.

    An accelerator takes as long to launch an operation on one number as on all.
    """

    def __init__(self) -> None:
        self._vectors: dict[Layout, Tensor] = {}

    def add(self, metrics: Mapping[str, Tensor], skips: bool = False) -> Tensor | None:
        """Add the metrics of a pass; skips: return whether all are finite, as a tensor, and add zeros if not."""
        layout = tuple((name, value.shape) for name, value in metrics.items())
        values = torch.cat([value.detach().reshape(-1) for value in metrics.values()])
        finite = values.isfinite().all() if skips else None
        if finite is not None:
            values = values.where(finite, 0)
        self._vectors[layout] = self._vectors[layout].add_(values) if layout in self._vectors else values
        return finite

    def vector(self) -> Tensor:
        """Return all sums as one vector."""
        return torch.cat(list(self._vectors.values()))

    def named(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the numbers of a vector, in the order of `vector()`, by the names of the metrics, as views of it."""
        layout = [item for group in self._vectors for item in group]
        named: dict[str, Tensor] = {}
        for (name, shape), part in zip(layout, vector.split([shape.numel() for _, shape in layout]), strict=True):
            # A metric that only some passes have may be in several groups.
            named[name] = named[name] + part.view(shape) if name in named else part.view(shape)
        return named


class Meter:
    """Means over the steps since the last `read`, and the time spent on data and on computing."""

    def __init__(self, skips: bool = False) -> None:
        """Start without steps; skips: a step whose metrics are not finite is counted and left out of the means.

        The loss scaler of training in float16 skips the updates of such steps, too.
        """
        self._skips = skips
        self._reset()
        self._timer = time.perf_counter()

    def _reset(self) -> None:
        self._sums = Sums()
        self._finite_steps: Tensor | None = None
        self._steps = 0
        self._step_time = 0.0
        self._data_time = 0.0

    def restart_timer(self) -> None:
        """Exclude the time since the last call of any method, e.g. a validation."""
        self._timer = time.perf_counter()

    def end_data_wait(self) -> None:
        """Count the time since the last call as waiting for tiles."""
        self._data_time += self._elapsed()

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Count the time since the last call as one training step with these metrics."""
        self._step_time += self._elapsed()
        finite = self._sums.add(metrics, self._skips)
        if finite is not None:
            self._finite_steps = finite.float() if self._finite_steps is None else self._finite_steps + finite
        self._steps += 1

    def read(self, accelerator: Accelerator) -> dict[str, Value]:
        """Return the means over steps and processes, steps per second and the share of data time; then reset.

        `skipped_steps` is among them if steps were left out; if all were, the means are NaN.
        """
        devices.synchronize(accelerator.device)  # an accelerator may still have steps queued, which take their time
        self._step_time += self._elapsed()
        seconds = self._step_time + self._data_time
        metrics = self._means(accelerator)
        metrics |= {"steps_per_second": self._steps / seconds, "data_share": self._data_time / seconds}
        self._reset()
        return metrics

    def _means(self, accelerator: Accelerator) -> dict[str, Value]:
        """Return the means by name; they are reduced and read back from the device at once."""
        vector = self._sums.vector() / self._steps
        if self._finite_steps is None:
            means = torch.tensor(accelerator.reduce(vector, "mean").tolist(), dtype=torch.float64)
            return {name: mean.tolist() for name, mean in self._sums.named(means).items()}
        finite = (self._finite_steps / self._steps).reshape(1)
        *means, share = accelerator.reduce(torch.cat([vector, finite]), "mean").tolist()
        means = torch.tensor(means, dtype=torch.float64) / (share or float("nan"))
        metrics: dict[str, Value] = {name: mean.tolist() for name, mean in self._sums.named(means).items()}
        skipped = round((1 - share) * self._steps)
        return metrics | ({"skipped_steps": float(skipped)} if skipped else {})

    def _elapsed(self) -> float:
        before, self._timer = self._timer, time.perf_counter()
        return self._timer - before
