"""Claims about the results of an evaluation and their document."""

from __future__ import annotations

import pytest

from lowvision.evaluation.results import ENLARGED, _baseline
from lowvision_degradations import LowLight
from lowvision_denoise import Denoising
from lowvision_sr import SuperResolution


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (
            SuperResolution(scale=2),
            f"without a network: {ENLARGED}",
        ),
        (Denoising(), "without a network: the degraded image itself"),
        (LowLight(), "without a network: lq, brightened by the geometric mean of the exposures"),
    ],
)
def test_the_report_describes_the_baseline_by_its_own_docstring_or_the_default(task, text):
    assert _baseline(task) == text
