"""Claims about the curves of training."""

from __future__ import annotations

import math
import xml.etree.ElementTree as xml

from lowvision.imaging.palette import colours, hexadecimal
from lowvision.report import curves


def entries(stage: str, steps: int, **facts) -> list[dict]:
    return [{"stage": stage, "step": step, **facts} for step in range(1, steps + 1)]


def panels(metrics: list[dict]) -> dict[str, list[str]]:
    return dict(curves.stages(metrics))


def drawings(panel: str) -> xml.Element:
    return xml.fromstring(panel[panel.index("<svg") : panel.index("</svg>") + 6])


def test_stages_are_drawn_in_the_order_in_which_they_ran():
    metrics = entries("base", 2, loss=0.1) + entries("branches/0", 2, loss=0.1) + entries("base", 1, valid_psnr=27.0)
    assert {stage: len(drawn) for stage, drawn in panels(metrics).items()} == {"base": 2, "branches/0": 1}


def test_a_single_loss_is_drawn_once():
    (panel,) = panels(entries("base", 9, loss=0.1, image=0.1))["base"]
    assert len(drawings(panel).findall("polyline")) == 1


def test_each_of_several_losses_has_a_line_and_a_legend_entry():
    (panel,) = panels(entries("joint", 9, **{"loss": 0.6, "image": 0.3, "class": 0.2, "average": 0.1}))["joint"]
    assert len(drawings(panel).findall("polyline")) == 4
    assert panel.count("<i ") == 4


def test_shares_are_bands_in_the_colours_of_the_maps():
    (panel,) = panels(entries("joint", 9, shares=[0.2, 0.3, 0.5]))["joint"]
    assert [band.get("fill") for band in drawings(panel).findall("polygon")] == [hexadecimal(c) for c in colours(3)]


def test_bands_show_chosen_shares_rather_than_probabilities():
    (panel,) = panels(entries("joint", 1, shares=[0.5, 0.5], chosen=[0.0, 1.0]))["joint"]
    first = drawings(panel).findall("polygon")[0].get("points", "")
    assert len({point.split(",")[1] for point in first.split()}) == 1  # no height: nothing chose branch 0


def test_a_long_curve_is_thinned():
    (panel,) = panels(entries("base", 5000, loss=0.1))["base"]
    (line,) = drawings(panel).findall("polyline")
    assert len(line.get("points", "").split()) <= curves.MAX_POINTS


def test_a_single_measurement_is_a_dot_or_a_band():
    loss, shares = panels(entries("joint", 1, loss=0.1, shares=[0.4, 0.6]))["joint"]
    assert drawings(loss).findall("circle")
    assert len(drawings(shares).findall("polygon")[0].get("points", "").split()) == 4


def test_values_that_are_missing_or_not_finite_are_not_drawn():
    metrics = entries("base", 3, loss=math.nan, valid_psnr=None, lr=1e-4)
    assert panels(metrics) == {}


def test_losses_that_touch_zero_are_drawn_where_they_are_positive():
    metrics = entries("joint", 3, loss=0.2, average=0.0)
    metrics[1] |= {"average": 0.1}
    (panel,) = panels(metrics)["joint"]
    assert [len(line.get("points", "").split()) for line in drawings(panel).findall("polyline")] == [3, 1]


def test_losses_that_are_never_positive_are_drawn_too():
    (panel,) = panels(entries("joint", 3, loss=-0.2))["joint"]
    assert drawings(panel).findall("polyline")


def test_names_of_stages_and_metrics_are_escaped():
    assert list(panels(entries("<b>", 2, loss=0.1))) == ["<b>"]  # escaped where the page writes it
