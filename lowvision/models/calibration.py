"""The calibration curve of a container: its PSNR at several costs, measured once and kept in its weights file.

Each tile is routed to the branch with the largest score - k * cost weight (`lowvision/routing/budget.py`). k is the
Lagrange multiplier of the cost constraint: a positive k lowers the cost, k = 0 is the routing as trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from lowvision.config.options import Options

Speed = Literal["fast", "balanced", "best"]
"""Name of a point on the curve."""
SPEEDS: Mapping[Speed, float] = {"fast": 0.3, "balanced": 0.05, "best": 0.0}
"""Loss of PSNR in dB that each speed allows: its point is the cheapest one within it."""
PREFIX = "curve/"
MULTIPLIERS = f"{PREFIX}k"
SPENT = f"{PREFIX}share_of_base_whole"
REACHED = f"{PREFIX}psnr"
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

    @model_validator(mode="after")
    def _has_one_value_per_point(self) -> Self:
        if not self.k or len({len(self.k), len(self.shares), len(self.psnr)}) > 1:
            raise ValueError("a curve needs a k, a share and a PSNR for each of its points, and at least one point")
        return self

    @property
    def losses(self) -> tuple[float, ...]:
        """Loss of each point against the base in dB; negative if it is better."""
        return tuple(self.base - psnr for psnr in self.psnr)

    def point(self, max_loss: float) -> int:
        """Return the index of the cheapest point that loses at most `max_loss` dB. Raises ValueError if none does."""
        for n, loss in enumerate(self.losses):
            if loss <= max_loss:
                return n
        raise ValueError(f"the smallest loss on data.valid is {min(self.losses):.3f} dB; allow at least that")

    def speeds(self) -> dict[str, float]:
        """Return the Lagrange multiplier of each speed whose loss the curve can keep."""
        reachable = {name: loss for name, loss in SPEEDS.items() if loss >= min(self.losses)}
        return {name: self.k[self.point(loss)] for name, loss in reachable.items()}

    def measured(self) -> dict[str, float | tuple[float, ...]]:
        """Return the entries of the curve for the header of a weights file."""
        protocol = self.metric.removeprefix("psnr")
        return {MULTIPLIERS: self.k, SPENT: self.shares, REACHED + protocol: self.psnr, BASE + protocol: self.base}


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
    )
