"""Several threads, results in order, errors where they belong, and no work too early."""

from __future__ import annotations

import threading

import pytest

from lowvision.routing.workers import AHEAD, in_order


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_things(threads):
    assert list(in_order(lambda n: n * n, range(50), threads)) == [n * n for n in range(50)]


def test_things_are_worked_on_at_the_same_time():
    together = threading.Barrier(2, timeout=10)
    assert len(list(in_order(lambda _: together.wait(), range(2), 2))) == 2


def test_things_are_taken_as_late_as_can_be():
    taken = []
    results = in_order(str, (taken.append(n) or n for n in range(100)), 2)
    next(results)
    assert len(taken) <= AHEAD * 2 + 1


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_up_where_its_result_would(threads):
    results = in_order(lambda n: 1 / (3 - n), range(9), threads)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
