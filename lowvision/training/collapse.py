"""Detect the collapse of a classifier, i.e. that it sends nearly all tiles to one branch."""

from __future__ import annotations

import math

from lowvision.errors import TrainingError
from lowvision.training.log import Value

SHARE = 0.95
"""Share of tiles above which one branch dominates."""
UNDECIDED = 0.95
"""Fraction of the maximum entropy above which a classifier is still undecided, so that shares are meaningless."""
PATIENCE = 200
"""Steps that one branch may dominate; at most half of the stage."""


def since(metrics: dict[str, Value], step: int, began: int | None) -> int | None:
    """Return the step at which the current collapse began; None if the classifier has not collapsed at `step`.

    metrics: `chosen`, the share of tiles per branch, and `entropy`. began: the return value of the previous call.
    """
    chosen, entropy = metrics.get("chosen"), metrics.get("entropy")
    if not isinstance(chosen, list) or len(chosen) == 1 or not isinstance(entropy, float):
        return None
    if max(chosen) <= SHARE or entropy > UNDECIDED * math.log(len(chosen)):
        return None
    return step if began is None else began


def stop_if_lasting(stage: str, step: int, began: int | None, steps: int) -> None:
    """Raise TrainingError, with advice, if a collapse has lasted too long."""
    if began is not None and step - began >= max(1, min(PATIENCE, steps // 2)):
        raise TrainingError(
            f"{stage}: the classifier has collapsed: since step {began} one branch got over {SHARE:.0%} of the tiles; "
            f"check that the branches are trained (stages base, rank, branches), lower lr (2e-4; 1e-3 "
            f"collapses), or raise average_weight"
        )
