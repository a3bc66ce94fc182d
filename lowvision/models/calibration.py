"""The calibration curve of a container: its PSNR at several costs, measured once and kept in its weights file.

Each tile is routed to the branch with the largest score - k * cost weight (`lowvision/routing/budget.py`). k is the
Lagrange multiplier of the cost constraint: a positive k lowers the cost, k = 0 is the routing as trained.

A loss compares squared errors: 10 log10((e + c) / (b + c)) dB, where e is the error of the routed image and b that of
the base, both against the ground truth. c keeps invisible differences in flat tiles from counting. If a teacher made
the ground truth, b is almost 0, and c is the error that the teacher itself is assumed to have against the unknown
truth: errors that are independent of it add to it. So a loss of 0.3 dB against a teacher is 41.5 dB to its output.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from lowvision.config.options import Options

Speed = Literal["fast", "balanced", "best"]
"""Name of a point on the curve."""
SPEEDS: Mapping[Speed, float] = {"fast": 0.3, "balanced": 0.05, "best": 0.0}
"""Loss of PSNR in dB that each speed allows: its point is the cheapest one within it."""
INVISIBLE = 1e-4
"""c in the loss of a tile: a mean squared error of 40 dB."""
TEACHER_ERROR = 1e-3
"""c if a teacher made the ground truth: 30 dB, as networks reach that enlarge photographs four times."""
PERCENTILE = 99
"""Percentile of the loss over tiles that is stored: 99 percent of all tiles lose less."""
PREFIX = "curve/"
MULTIPLIERS = f"{PREFIX}k"
SPENT = f"{PREFIX}share_of_base_whole"
REACHED = f"{PREFIX}psnr"
LOST = f"{PREFIX}loss_to_teacher"
WORST = f"{PREFIX}tile_loss_p99"
BORDER = f"{PREFIX}border_error"
BASE = f"{PREFIX}last_branch_on_every_tile/psnr"
"""Names in the header of a weights file; those of PSNRs end with the protocol, e.g. `curve/psnr_rgb@crop4`."""


class Curve(Options):
    """PSNR and cost at several Lagrange multipliers k, from the lowest cost to the highest; means over images.

    The reference is the base, i.e. the last branch, on all tiles, by the same engine.
    """

    metric: str
    """Name of the PSNR with its protocol."""
    k: tuple[float, ...]
    """Lagrange multipliers of the cost, falling; 0: as trained."""
    shares: tuple[float, ...]
    """Cost of each point as a fraction of the base's cost on the whole image."""
    psnr: tuple[float, ...]
    """PSNR of each point in dB."""
    base: float
    """PSNR of the base in dB."""
    worst: tuple[float, ...] | None = None
    """Loss of each point in dB that 99 % of the tiles do not exceed; None: not measured, by an older version."""
    to_teacher: tuple[float, ...] | None = None
    """Loss of each point in dB if `psnr` is that to a teacher's output; None: it is that to the ground truth."""
    border: tuple[float, ...] | None = None
    """Error of the base near the border of its windows (`lowvision/routing/window_choice.py`); None: k is per tile."""

    @model_validator(mode="after")
    def _has_one_value_per_point(self) -> Self:
        optional = [values for values in (self.worst, self.to_teacher) if values is not None]
        if not self.k or len({len(values) for values in (self.k, self.shares, self.psnr, *optional)}) > 1:
            raise ValueError("a curve needs a k, a share and a PSNR for each of its points, and at least one point")
        return self

    @property
    def losses(self) -> tuple[float, ...]:
        """Loss of each point against the base in dB; negative if it is better."""
        return self.to_teacher or tuple(self.base - psnr for psnr in self.psnr)

    def point(self, max_loss: float, worst: float | None = None) -> int:
        """Return the index of the cheapest point that loses at most `max_loss` dB, and `worst` dB on 99 % of tiles.

        Raises ValueError if no point does, or if the losses of tiles were not measured.
        """
        if worst is not None and self.worst is None:
            raise ValueError("the losses of tiles were not measured; calibrate again, or omit worst")
        tiles = self.worst if worst is not None and self.worst else self.losses
        for n, (loss, tile_loss) in enumerate(zip(self.losses, tiles, strict=True)):
            if loss <= max_loss and (worst is None or tile_loss <= worst):
                return n
        if worst is not None and min(self.losses) <= max_loss:
            raise ValueError(f"the smallest loss of 99 % of the tiles is {min(tiles):.3f} dB; allow at least that")
        raise ValueError(f"the smallest loss of these weights is {min(self.losses):.3f} dB; allow at least that")

    def speeds(self) -> dict[str, float]:
        """Return the Lagrange multiplier of each speed whose loss the curve can keep."""
        reachable = {name: loss for name, loss in SPEEDS.items() if loss >= min(self.losses)}
        return {name: self.k[self.point(loss)] for name, loss in reachable.items()}

    def measured(self) -> dict[str, float | tuple[float, ...]]:
        """Return the entries of the curve for the header of a weights file."""
        protocol = self.metric.removeprefix("psnr")
        optional = {WORST: self.worst, LOST: self.to_teacher, BORDER: self.border}
        return {
            MULTIPLIERS: self.k,
            SPENT: self.shares,
            REACHED + protocol: self.psnr,
            BASE + protocol: self.base,
            **{name: values for name, values in optional.items() if values is not None},
        }


def read(measured: Mapping[str, Any]) -> Curve | None:
    """Return the curve from the `measured` entries of a header; None if there is none. Raises ValueError if invalid."""
    if MULTIPLIERS not in measured:
        return None
    psnr_names = [name for name in measured if name.startswith(REACHED)]
    protocol = psnr_names[0].removeprefix(REACHED) if psnr_names else ""
    missing = [name for name in (SPENT, REACHED + protocol, BASE + protocol) if name not in measured]
    if missing or len(psnr_names) > 1:
        raise ValueError(f"a curve needs one PSNR and {SPENT}; missing: {', '.join(missing) or 'nothing'}")
    return Curve(
        metric=f"psnr{protocol}",
        k=measured[MULTIPLIERS],
        shares=measured[SPENT],
        psnr=measured[REACHED + protocol],
        base=measured[BASE + protocol],
        worst=measured.get(WORST),
        to_teacher=measured.get(LOST),
        border=measured.get(BORDER),
    )


def border(measured: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the error of the base near the border of its windows from a header; empty if it was not measured."""
    return tuple(measured.get(BORDER, ()))


def loss(error: float, base: float, constant: float) -> float:
    """Return the loss in dB between two mean squared errors; constant: c of the module's docstring."""
    return 10 * math.log10((error + constant) / (base + constant))
