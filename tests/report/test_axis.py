"""Claims about axes."""

from __future__ import annotations

import pytest

from lowvision.report.axis import Axis, fitted


@pytest.mark.parametrize("values", [[1.0], [0.0], [-3.0, 4.0], [26.1, 26.13], [1e-9, 2e-9], [0.0, 1e6]])
@pytest.mark.parametrize("about", [3, 4])
def test_ticks_are_few_round_and_inside_the_range(values, about):
    axis = fitted(values)
    marks = axis.marks(about)
    assert 2 <= len(marks) <= 2 * about
    assert all(0 <= axis.place(mark) <= 1 for mark in marks)
    assert all(axis.low < value < axis.high for value in values)


@pytest.mark.parametrize("values", [[0.1], [0.01, 0.05], [1e-3, 0.9], [1e-12, 1.0]])
def test_a_logarithmic_axis_has_ticks(values):
    axis = fitted(values, logarithmic=True)
    marks = axis.marks()
    assert 1 <= len(marks) <= 9
    assert marks == sorted(marks)
    assert all(axis.low * 0.999 <= mark <= axis.high * 1.001 for mark in marks)


def test_a_logarithmic_axis_spans_four_decades_at_most():
    assert fitted([1e-12, 1.0], logarithmic=True).place(1e-12) == 0


def test_equal_ratios_are_equal_distances_on_a_logarithmic_axis():
    axis = Axis(0.01, 1.0, logarithmic=True)
    assert axis.place(0.1) == pytest.approx(0.5)
