"""How much PSNR a container loses at how little cost: measured once, kept in its weights file, asked in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from lowvision.config.options import Options

PREFIX = "curve/"
KNOB = f"{PREFIX}k"
SPENT = f"{PREFIX}share_of_base_whole"
REACHED = f"{PREFIX}psnr"
BASE = f"{PREFIX}last_branch_on_every_tile/psnr"
"""Names in the header of a weights file; a PSNR's goes on with its protocol, as `curve/psnr_rgb@crop4`."""


class Curve(Options):
    """PSNR and cost at points of the budget's rule, from the cheapest to the dearest; means over images.

    Its reference is the base, the last branch, on every tile, by the same engine.
    """

    metric: str
    """Which PSNR, with its protocol."""
    k: tuple[float, ...]
    """Falling; 0: as trained."""
    shares: tuple[float, ...]
    """What was spent, of the base's cost on the whole image."""
    psnr: tuple[float, ...]
    """In dB."""
    base: float
    """What the base reaches, in dB."""

    @model_validator(mode="after")
    def _is_of_points(self) -> Self:
        if not self.k or len({len(self.k), len(self.shares), len(self.psnr)}) > 1:
            raise ValueError("a curve needs a k, a share and a PSNR for each of its points, and at least one point")
        return self

    @property
    def losses(self) -> tuple[float, ...]:
        """By how much each point is below the base, in dB; below 0 where it is better."""
        return tuple(self.base - psnr for psnr in self.psnr)

    def point(self, max_loss: float) -> int:
        """The number of the cheapest point that loses at most so many dB. Raises ValueError where there is none."""
        for n, loss in enumerate(self.losses):
            if loss <= max_loss:
                return n
        raise ValueError(f"the least that was lost on data.valid is {min(self.losses):.3f} dB; ask for no less")

    def measured(self) -> dict[str, float | tuple[float, ...]]:
        """As the header of a weights file holds it."""
        protocol = self.metric.removeprefix("psnr")
        return {KNOB: self.k, SPENT: self.shares, REACHED + protocol: self.psnr, BASE + protocol: self.base}


def read(measured: Mapping[str, Any]) -> Curve | None:
    """The curve in what was measured of a weights file; None where there is none."""
    if KNOB not in measured:
        return None
    (reached,) = (name for name in measured if name.startswith(REACHED))
    protocol = reached.removeprefix(REACHED)
    return Curve(
        metric=f"psnr{protocol}",
        k=measured[KNOB],
        shares=measured[SPENT],
        psnr=measured[reached],
        base=measured[BASE + protocol],
    )
