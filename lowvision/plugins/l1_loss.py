"""The default loss of every training stage, L1, which the core provides itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.losses import Loss

if TYPE_CHECKING:
    from torch import nn

    from lowvision.plugins.contracts import Task


class L1(Loss):
    """Mean absolute error, the default."""

    def build(self, task: Task) -> nn.Module:
        from torch import nn

        return nn.L1Loss()


@hookimpl
def lowvision_losses() -> Mapping[str, type[Loss]]:
    return {"l1": L1}
