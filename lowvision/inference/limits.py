"""Limits of a restore on cost or quality: whether weights can keep them, and by which multiplier or operating point."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lowvision.errors import UsageError
from lowvision.models import operating_points
from lowvision.models.architecture import Architecture
from lowvision.models.calibration import SPEEDS, Curve, Speed
from lowvision.models.operating_points import OperatingPoint
from lowvision.plugins.contracts import Adaptive
from lowvision.system import meta_device

LARGEST_BUDGET = 10
"""Larger budgets are percentages by mistake: overlapping tiles cost at most some times the whole image."""


def check_budget(budget: float) -> None:
    """Raise UsageError if a limit on the cost, as a fraction of the base cost, limits nothing or everything."""
    if not 0 < budget < math.inf:
        raise UsageError(f"budget must be a positive fraction of the base cost, e.g. 0.6; got {budget:g}")
    if budget >= LARGEST_BUDGET:
        raise UsageError(f"budget is a fraction of the base cost; for {budget:g} % give {budget / 100:g}")


@dataclass(frozen=True)
class Allowance:
    """Limits on the cost and the loss of an image; None: no limit."""

    cost: int | None
    """Multiply-adds."""
    loss: float | None
    """Loss of PSNR in dB, in the mean over the photographs of the curve."""
    worst: float | None
    """Loss of PSNR in dB of all but one percent of the tiles."""


@dataclass(frozen=True)
class Limits:
    """The limits that the networks of a weights file can keep."""

    architecture: Architecture
    curve: Curve | None
    settings: tuple[OperatingPoint, ...]
    """Operating points of a single adaptive network."""
    adaptive_at: Callable[[int], Adaptive]
    """Returns the adaptive network at the operating point of a number; raises UsageError if it is not available."""

    def check(
        self,
        budget: float | None = None,
        max_loss: float | None = None,
        speed: Speed | None = None,
        worst: float | None = None,
    ) -> None:
        """Raise UsageError if the networks cannot keep a budget, or have no curve for a loss or a speed."""
        if worst is not None:
            self._check_worst(budget, max_loss, speed, worst)
        limits = {"budget": budget, "max_loss": max_loss, "speed": speed}
        given = [name for name, limit in limits.items() if limit is not None]
        if not given:
            return
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
        if speed is not None and speed not in SPEEDS:
            raise UsageError(f"speed must be one of {', '.join(SPEEDS)}; got {speed}")
        if speed == "best" and self.architecture.classifier is None:
            return  # the network as it is
        max_loss = SPEEDS[speed] if speed else max_loss
        if budget is not None:
            check_budget(budget)
        if self.architecture.classifier is None:
            self._check_operating_point(max_loss)
        elif max_loss is not None:
            self.multiplier(max_loss)

    def _check_worst(self, budget: float | None, max_loss: float | None, speed: Speed | None, worst: float) -> None:
        """Raise UsageError if the networks cannot keep a loss of their worst tiles."""
        if budget is not None:
            raise UsageError("budget and worst exclude each other; give one of them")
        if self.architecture.classifier is None:
            raise UsageError("a single network has no curve of the losses of tiles; omit worst, or take a container")
        self.multiplier(self.loss(None, max_loss, speed), worst)

    def loss(self, budget: float | None, max_loss: float | None, speed: Speed | None) -> float | None:
        """Return the loss of PSNR in dB that an image may have; None: no limit by loss."""
        if speed:
            return SPEEDS[speed] if self.architecture.classifier or speed != "best" else None
        if budget is None and max_loss is None and self.curve and min(self.curve.losses) <= SPEEDS["balanced"]:
            return SPEEDS["balanced"]
        return max_loss

    def operating_point(self, share: float | None, max_loss: float | None) -> int:
        """Return the number of the operating point for a cost as a share of the static graph, or for a loss in dB.

        Raises UsageError if no point loses as little.
        """
        if share is not None:
            return operating_points.within(self.settings, share)
        try:
            return operating_points.losing(self.settings, max_loss or 0)
        except ValueError as error:
            raise UsageError(f"a loss of at most {max_loss or 0:g} dB cannot be kept: {error}") from None

    def multiplier(self, max_loss: float | None, worst: float | None = None) -> float:
        """Return the k of the cheapest point of the curve within losses in dB; 0 without a limit.

        worst: limit on all but one percent of the tiles. Raises UsageError if there is no such point.
        """
        if max_loss is None and worst is None:
            return 0.0
        allowed = math.inf if max_loss is None else max_loss
        if self.curve is None:
            raise UsageError(
                "these weights have no curve of PSNR against cost; give a budget instead, or take the container "
                "that the stage calibrate of a recipe wrote: runs/NAME/calibrate/container.safetensors"
            )
        try:
            return self.curve.k[self.curve.point(allowed, worst)]
        except ValueError as error:
            tiles = "" if worst is None else f" ({worst:g} dB on the worst tiles)"
            raise UsageError(f"a loss of at most {allowed:g} dB{tiles} cannot be kept: {error}") from None

    def _check_operating_point(self, max_loss: float | None) -> None:
        """Raise UsageError if a single network has no operating points, or none for that loss."""
        if self.settings:
            self.adaptive_at(0 if max_loss is None else self.operating_point(None, max_loss))
        elif self._is_adaptive():
            raise UsageError(
                "these weights are of an adaptive network but have no operating points; take those that the stage "
                "calibrate of a recipe wrote: runs/NAME/calibrate/network.safetensors"
            )
        else:
            raise UsageError(
                "a single network has no cheaper branch; omit budget and max_loss, or take a container: "
                "`lowvision accelerate` makes one of it"
            )

    def _is_adaptive(self) -> bool:
        with meta_device.structure_only():
            return isinstance(self.architecture.build_network(), Adaptive)
