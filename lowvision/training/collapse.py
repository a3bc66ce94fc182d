"""Notices when a classifier sends everything to one branch, the classic failure of the method."""

from __future__ import annotations

import math

from lowvision.errors import TrainingError
from lowvision.training.log import Value

SHARE = 0.95
"""A branch that gets more of the tiles than this has taken over."""
UNDECIDED = 0.95
"""Above this part of the largest entropy a classifier has not decided anything yet: then a share means nothing."""
PATIENCE = 200
"""For so many steps a branch may have taken over; in a short stage, for half of it."""


def since(facts: dict[str, Value], step: int, began: int | None) -> int | None:
    """The step at which a collapse that lasts until `step` began; None where there is none.

    facts: `chosen`, the share of tiles that each branch was chosen for, and `entropy`. began: the answer before.
    """
    chosen, entropy = facts.get("chosen"), facts.get("entropy")
    if not isinstance(chosen, list) or len(chosen) == 1 or not isinstance(entropy, float):
        return None
    if max(chosen) <= SHARE or entropy > UNDECIDED * math.log(len(chosen)):
        return None
    return step if began is None else began


def stop_if_lasting(stage: str, step: int, began: int | None, steps: int) -> None:
    """Raises TrainingError, with advice, where a collapse has lasted too long."""
    if began is not None and step - began >= max(1, min(PATIENCE, steps // 2)):
        raise TrainingError(
            f"{stage}: one branch has had over {SHARE:.0%} of the tiles since step {began}: the classifier has "
            f"collapsed. Check that the branches are trained (stages base, rank, branches), lower lr (2e-4; 1e-3 "
            f"collapses), or raise average_weight"
        )
