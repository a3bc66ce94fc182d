"""Selection of the best weights of a training stage: the mean of a metric on fixed tiles."""

from __future__ import annotations

from dataclasses import dataclass

from lowvision.plugins.metrics import Metric


@dataclass(frozen=True)
class Selection:
    """The validation metric that selects the best weights."""

    name: str = "psnr"
    """Key among the results of a validation."""
    metric: Metric | None = None
    """None: PSNR, which every validation measures."""

    def score(self, value: float) -> float:
        """Return a number that is higher for better weights."""
        return value if self.metric is None or self.metric.higher_is_better else -value


BY_PSNR = Selection()
