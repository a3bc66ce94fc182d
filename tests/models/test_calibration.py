"""Claims about the curve of PSNR against cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
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


def test_a_curve_survives_the_header_of_a_weights_file() -> None:
    kept = {"psnr": 30.0, "shares": (0.3, 0.7), **MEASURED.measured()}
    assert calibration.read(kept) == MEASURED


def test_the_header_states_the_metric_and_the_base() -> None:
    names = set(MEASURED.measured())
    assert {"curve/psnr_rgb@crop4", "curve/last_branch_on_every_tile/psnr_rgb@crop4"} <= names
    assert "curve/share_of_base_whole" in names


def test_uncalibrated_weights_have_no_curve() -> None:
    assert calibration.read({"psnr": 30.0}) is None


@pytest.mark.parametrize(("loss", "point"), [(5, 0), (1.0, 0), (0.5, 1), (0.1, 1), (0.05, 2), (0.0, 2), (-0.02, 2)])
def test_a_loss_limit_selects_the_cheapest_point_within_it(loss: float, point: int) -> None:
    assert MEASURED.point(loss + 1e-9) == point


def test_a_speed_uses_the_k_of_the_cheapest_point_within_its_loss() -> None:
    assert MEASURED.speeds() == {"fast": 0.0, "balanced": -1.0, "best": -1.0}
    only_fast = MEASURED.replace(psnr=(30.0, 30.8, 30.8, 30.8))
    assert only_fast.speeds() == {"fast": 0.0}


def test_a_loss_below_the_measured_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"smallest loss .* is -0\.020 dB"):
        MEASURED.point(-0.5)


def test_a_curve_must_have_one_psnr_per_point() -> None:
    with pytest.raises(ValidationError, match="for each of its points"):
        MEASURED.replace(psnr=(30.0,))


WITH_TILES = MEASURED.replace(worst=(4.0, 1.5, 0.4, 0.0))


@pytest.mark.parametrize(("loss", "worst", "point"), [(1.0, 4.0, 0), (1.0, 1.5, 1), (0.1, 9.0, 1), (0.1, 1.0, 2)])
def test_the_selected_point_also_satisfies_the_loss_limit_of_the_worst_tiles(
    loss: float, worst: float, point: int
) -> None:
    assert WITH_TILES.point(loss + 1e-9, worst) == point


def test_an_impossible_or_unmeasured_tile_loss_is_refused() -> None:
    with pytest.raises(ValueError, match=r"smallest loss of 99 % of the tiles is 0\.000 dB"):
        WITH_TILES.point(1.0, -0.1)
    with pytest.raises(ValueError, match="were not measured; calibrate again, or omit worst"):
        MEASURED.point(1.0, 1.0)


def test_losses_to_a_teacher_replace_the_differences_of_psnr() -> None:
    curve = MEASURED.replace(to_teacher=(0.9, 0.5, 0.2, 0.0), worst=(4.0, 1.5, 0.4, 0.0))
    assert curve.losses == (0.9, 0.5, 0.2, 0.0)
    assert calibration.read({**curve.measured()}) == curve
    with pytest.raises(ValidationError, match="for each of its points"):
        curve.replace(to_teacher=(0.9,))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1e-6, 1e-2))
def test_a_loss_has_the_sign_of_the_difference_and_vanishes_for_invisible_ones(a: float, b: float, c: float) -> None:
    assert calibration.loss(a, b, c) == pytest.approx(-calibration.loss(b, a, c))
    assert calibration.loss(a, a, c) == 0
    assert abs(calibration.loss(b + c / 100, b, c)) < 0.05


def test_a_loss_of_0_3_db_to_a_teacher_is_41_5_db_to_its_output() -> None:
    assert calibration.loss(10**-4.15, 0.0, calibration.TEACHER_ERROR) == pytest.approx(0.3, abs=0.01)
