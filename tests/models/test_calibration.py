"""Claims about the curve of PSNR against cost."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lowvision.models import calibration
from lowvision.models.calibration import Curve

MEASURED = Curve(
    metric="psnr_rgb@crop4",
    k=(2.0, 0.0, -1.0, -3.0),
    shares=(0.4, 0.7, 0.9, 1.05),
    psnr=(30.0, 30.9, 31.02, 31.0),
    base=31.0,
)


def test_it_survives_the_header_of_a_weights_file_beside_other_facts() -> None:
    kept = {"psnr": 30.0, "shares": (0.3, 0.7), **MEASURED.measured()}
    assert calibration.read(kept) == MEASURED


def test_the_header_says_which_psnr_and_against_which_base() -> None:
    names = set(MEASURED.measured())
    assert {"curve/psnr_rgb@crop4", "curve/last_branch_on_every_tile/psnr_rgb@crop4"} <= names
    assert "curve/share_of_base_whole" in names


def test_weights_that_were_never_calibrated_have_none() -> None:
    assert calibration.read({"psnr": 30.0}) is None


@pytest.mark.parametrize(("loss", "point"), [(5, 0), (1.0, 0), (0.5, 1), (0.1, 1), (0.05, 2), (0.0, 2), (-0.02, 2)])
def test_the_cheapest_point_that_keeps_to_a_loss_is_taken(loss: float, point: int) -> None:
    assert MEASURED.point(loss + 1e-9) == point


def test_a_speed_has_the_k_of_the_cheapest_point_within_its_loss() -> None:
    assert MEASURED.speeds() == {"fast": 0.0, "balanced": -1.0, "best": -1.0}
    only_fast = MEASURED.replace(psnr=(30.0, 30.8, 30.8, 30.8))
    assert only_fast.speeds() == {"fast": 0.0}


def test_a_gain_that_was_never_measured_is_refused() -> None:
    with pytest.raises(ValueError, match=r"smallest loss .* is -0\.020 dB"):
        MEASURED.point(-0.5)


def test_a_curve_has_as_many_psnrs_as_points() -> None:
    with pytest.raises(ValidationError, match="for each of its points"):
        MEASURED.replace(psnr=(30.0,))
