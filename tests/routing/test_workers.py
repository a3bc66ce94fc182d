"""Several threads return results in order, raise errors at their result, and start no work too early."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lowvision.routing.workers import AHEAD, TEAMS, in_order


@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_returned_in_input_order(threads):
    assert list(in_order(lambda n: n * n, range(50), threads)) == [n * n for n in range(50)]


def test_items_are_processed_concurrently():
    together = threading.Barrier(2, timeout=10)
    assert len(list(in_order(lambda _: together.wait(), range(2), 2))) == 2


def test_items_are_read_as_late_as_possible():
    taken = []
    results = in_order(str, (taken.append(n) or n for n in range(100)), 2)
    next(results)
    assert len(taken) <= AHEAD * 2 + 1


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_is_raised_in_place_of_its_result(threads):
    results = in_order(lambda n: 1 / (3 - n), range(9), threads)
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_concurrent_workers_use_one_torch_thread_each_and_the_setting_is_restored(two_torch_threads):
    results = in_order(lambda _: torch.get_num_threads(), range(9), 2)
    assert next(results) == 1
    assert torch.get_num_threads() == 1
    results.close()
    assert torch.get_num_threads() == 2
    assert list(in_order(lambda _: torch.get_num_threads(), range(2), 1)) == [2, 2]


def test_concurrent_restores_leave_the_thread_settings_unchanged(two_torch_threads):
    both_have_begun, first_has_left = threading.Barrier(2, timeout=10), threading.Event()
    seen = {}

    def restore(name: str) -> None:
        results = in_order(lambda _: torch.get_num_threads(), range(9), 2)
        within = [next(results)]
        both_have_begun.wait()
        if name == "second":
            first_has_left.wait(10)
            assert TEAMS.size == 2
        within += results
        first_has_left.set()
        seen[name] = (set(within), torch.get_num_threads())

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(restore, ("first", "second")))
        assert seen == {"first": ({1}, 2), "second": ({1}, 2)}
    with ThreadPoolExecutor(1) as new:
        assert new.submit(torch.get_num_threads).result() == torch.get_num_threads() == TEAMS.size == 2


@pytest.fixture
def two_torch_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
