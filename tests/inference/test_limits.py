"""Claims about limits on cost and quality: which the networks of a weights file can keep, and by which point."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from lowvision.errors import UsageError
from lowvision.inference.limits import Limits
from lowvision.models.architecture import Architecture
from lowvision.models.calibration import SPEEDS, Curve
from lowvision.models.operating_points import OperatingPoint
from lowvision.plugins.contracts import Adaptive

CURVE = Curve(
    metric="psnr_y@crop2",
    k=(4.0, 1.0, 0.0),
    shares=(0.3, 0.6, 0.9),
    psnr=(29.5, 29.96, 30.01),
    base=30.0,
    worst=(2.0, 1.0, 0.1),
)
POINTS = tuple(OperatingPoint(share=share, loss=loss, state={}) for share, loss in ((0.4, 0.5), (0.8, 0.04)))


def not_adaptive(number: int) -> Adaptive:
    raise UsageError(f"operating point {number} is not available")


@functools.cache
def container() -> Architecture:
    return tiny.architecture()


def limits(curve: Curve | None = CURVE, points: tuple[OperatingPoint, ...] = (), single: bool = False) -> Limits:
    architecture = container().only(0) if single else container()
    return Limits(architecture, curve, points, not_adaptive)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"budget": 0.5, "max_loss": 0.1}, "^budget and max_loss exclude each other; give one of them"),
        ({"max_loss": 0.1, "speed": "fast"}, "^max_loss and speed exclude each other; give one of them"),
        ({"speed": "slow"}, "speed must be one of fast, balanced, best; got slow"),
        ({"budget": 60.0}, r"budget is a fraction of the base cost; for 60 % give 0\.6"),
        ({"budget": 0.0}, r"budget must be a positive fraction of the base cost, e\.g\. 0\.6; got 0"),
        ({"budget": -1.0}, "got -1"),
        ({"budget": float("nan")}, "got nan"),
        ({"budget": float("inf")}, "got inf"),
        (
            {"max_loss": -0.5},
            r"a loss of at most -0\.5 dB cannot be kept: the smallest loss of these weights is -0\.010",
        ),
        ({"budget": 0.5, "worst": 1.0}, "budget and worst exclude each other; give one of them"),
        ({"worst": 0.05}, r"\(0\.05 dB on the worst tiles\) cannot be kept: .* 0\.100 dB; allow at least that"),
    ],
)
def test_what_a_container_cannot_keep_is_an_error_with_a_way_out(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        limits().check(**wanted)


@pytest.mark.parametrize("wanted", [{}, {"budget": 0.01}, {"budget": 3.0}, {"max_loss": 0.1}, {"worst": 1.0}])
def test_what_a_container_can_keep_is_accepted(wanted: dict[str, Any]) -> None:
    limits().check(**wanted)


@pytest.mark.parametrize("wanted", [{"max_loss": 0.1}, {"speed": "best"}, {"worst": 1.0}])
def test_a_container_without_a_curve_names_the_file_that_has_one(wanted: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"no curve of PSNR against cost; .* runs/NAME/calibrate/container\.safe"):
        limits(curve=None).check(**wanted)
    limits(curve=None).check(budget=0.5)


def test_a_single_network_has_nothing_cheaper_but_its_best_is_itself() -> None:
    for wanted in ({"budget": 0.5}, {"max_loss": 0.1}, {"speed": "fast"}):
        with pytest.raises(UsageError, match="a single network has no cheaper branch; omit budget and max_loss"):
            limits(None, single=True).check(**wanted)
    limits(None, single=True).check(speed="best")
    with pytest.raises(UsageError, match="a single network has no curve of the losses of tiles; omit worst"):
        limits(None, single=True).check(worst=1.0)


def test_an_adaptive_network_is_asked_for_the_operating_point_of_the_loss() -> None:
    adaptive = limits(None, POINTS, single=True)
    with pytest.raises(UsageError, match="operating point 0 is not available"):
        adaptive.check(max_loss=0.5)
    with pytest.raises(UsageError, match="operating point 1 is not available"):
        adaptive.check(max_loss=0.1)
    with pytest.raises(UsageError, match=r"a loss of at most 0\.01 dB cannot be kept: .*0\.04"):
        adaptive.check(max_loss=0.01)


def test_an_operating_point_is_the_best_one_that_a_share_pays_for() -> None:
    adaptive = limits(None, POINTS, single=True)
    assert [adaptive.operating_point(share, None) for share in (0.1, 0.4, 0.79, 0.8, 5.0)] == [0, 0, 0, 1, 1]


def test_the_balanced_speed_is_the_default_if_the_curve_can_keep_its_loss() -> None:
    assert limits().loss(None, None, None) == SPEEDS["balanced"]
    assert limits(curve=None).loss(None, None, None) is None
    lossy = CURVE.replace(base=31.0)
    assert limits(lossy).loss(None, None, None) is None
    assert limits().loss(0.5, None, None) is None
    assert limits().loss(None, 0.2, None) == 0.2
    assert limits().loss(None, None, "fast") == SPEEDS["fast"]
    assert limits(single=True).loss(None, None, "best") is None


def test_without_a_limit_the_container_routes_as_trained() -> None:
    assert limits().multiplier(None) == limits(curve=None).multiplier(None) == 0.0


@settings(deadline=None)
@given(st.floats(-0.01, 2), st.none() | st.floats(0.1, 3))
def test_the_multiplier_is_that_of_the_cheapest_point_within_the_limits(max_loss: float, worst: float | None) -> None:
    assert CURVE.worst is not None
    allowed = [
        share
        for share, loss, tiles in zip(CURVE.shares, CURVE.losses, CURVE.worst, strict=True)
        if loss <= max_loss and (worst is None or tiles <= worst)
    ]
    try:
        k = limits().multiplier(max_loss, worst)
    except UsageError:
        assert not allowed
    else:
        assert CURVE.shares[CURVE.k.index(k)] == min(allowed)
