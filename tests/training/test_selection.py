"""Claims about the metric that selects the best weights."""

from __future__ import annotations

import pytest

from lowvision.plugins.core_metrics import PSNR
from lowvision.plugins.metrics import Metric
from lowvision.training.selection import BY_PSNR, Selection


class Distance(PSNR):
    """A metric whose lower values are better."""

    higher_is_better = False


@pytest.mark.parametrize(("metric", "better", "worse"), [(None, 31, 30), (PSNR(), 31, 30), (Distance(), 0.1, 0.2)])
def test_better_weights_have_the_higher_score(metric: Metric | None, better: float, worse: float) -> None:
    selection = BY_PSNR if metric is None else Selection("distance", metric)
    assert selection.score(better) > selection.score(worse)
