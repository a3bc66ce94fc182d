"""Claims about workers of a cluster: rooms for them, deaths, and errors; Ray is replaced by a small model of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.errors import RunError, UsageError, WeightsError
from lowvision.system import cluster
from lowvision.system.cluster import ATTEMPTS, Layout, Lost, Machine, Pool


class ActorDied(Exception):
    """Stands for Ray's RayActorError."""


class OtherFailure(Exception):
    """Stands for Ray's RayError."""


class FakeRay:
    """Runs calls of actors when their results are waited for; a call that raises SystemExit kills its actor."""

    exceptions = SimpleNamespace(**dict.fromkeys(cluster.DEATHS, ActorDied), RayError=(ActorDied, OtherFailure))

    def __init__(self) -> None:
        self.living = 0

    def put(self, value: Any) -> Any:
        return value

    def remote(self, kind: type) -> Any:
        ray = self

        class Handle:
            def options(self, **resources: int) -> Any:
                return self

            def remote(self) -> Any:
                ray.living += 1
                actor = kind()

                class Method:
                    def __init__(self, call: Callable[[Any], Any]):
                        self.call = call

                    def remote(self, argument: Any) -> Any:
                        return (lambda: self.call(argument),)

                class Remote:
                    start, work = Method(actor.start), Method(actor.work)

                return Remote()

        return Handle()

    def wait(self, references: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return references[-1:], references[:-1]

    def get(self, reference: Any) -> Any:
        try:
            return reference[0]()
        except SystemExit as death:
            raise ActorDied from death
        except ValueError as failure:
            raise OtherFailure(str(failure)) from failure

    def kill(self, actor: Any) -> None:
        self.living -= 1


@given(deaths=st.lists(st.integers(0, ATTEMPTS), max_size=12), workers=st.integers(1, 4))
def test_every_item_has_one_result_and_is_lost_only_if_it_killed_three_workers(deaths: list[int], workers: int) -> None:
    calls: Counter[int] = Counter()

    def work(item: int) -> int:
        calls[item] += 1
        if calls[item] <= deaths[item]:
            raise SystemExit
        return item * item

    ray = FakeRay()
    results = list(Pool[int](ray, lambda: work, Layout(workers, 1)).results(range(len(deaths))))
    expected = {item: Lost() if count == ATTEMPTS else item * item for item, count in enumerate(deaths)}
    assert dict(results) == expected
    assert len(results) == len(deaths)
    assert calls == Counter({item: min(count + 1, ATTEMPTS) for item, count in enumerate(deaths)})
    assert ray.living == 0


def test_items_are_taken_only_when_a_worker_is_free() -> None:
    taken = []

    def items() -> Any:
        for item in range(9):
            taken.append(item)
            yield item

    results = Pool[int](FakeRay(), lambda: lambda item: item, Layout(2, 1)).results(items())
    next(results)
    assert len(taken) <= 3
    assert len([*results]) == 8


def test_an_error_of_a_worker_that_starts_is_that_of_the_command() -> None:
    def build() -> Any:
        raise WeightsError("x.safetensors: damaged; copy it again")

    with pytest.raises(WeightsError, match="damaged; copy it again"):
        list(Pool[int](FakeRay(), build, Layout(2, 1)).results([1]))


def test_workers_that_end_while_they_start_are_not_started_for_ever() -> None:
    def build() -> Any:
        raise SystemExit

    ray = FakeRay()
    with pytest.raises(RunError, match="workers end while they start"):
        list(Pool[int](ray, build, Layout(2, 1)).results([1]))
    assert ray.living == 0


def test_a_failure_that_is_no_death_names_the_versions() -> None:
    def work(item: int) -> int:
        raise ValueError("No module named 'lowvision'")

    with pytest.raises(RunError, match="No module named 'lowvision'; install the same versions"):
        list(Pool[int](FakeRay(), lambda: work, Layout(1, 1)).results([1]))


MACHINES = st.lists(st.builds(Machine, st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=4)


@given(MACHINES, st.sampled_from(["cpu", "auto"]), st.none() | st.integers(1, 20), st.none() | st.integers(1, 9))
def test_a_layout_fits_into_the_cluster_and_keeps_what_is_requested(
    found: list[Machine], device: str, workers: int | None, threads: int | None
) -> None:
    try:
        layout = cluster.arrange(found, device, workers, threads)
    except UsageError:
        return
    assert layout.workers == (workers or layout.workers)
    assert layout.cores == (threads or layout.cores)
    assert layout.accelerators == (device != "cpu" and any(each.accelerators and each.cores for each in found))
    rooms = (
        min(each.cores // layout.cores, each.accelerators) if layout.accelerators else each.cores // layout.cores
        for each in found
    )
    assert layout.workers <= sum(rooms)


@pytest.mark.parametrize(
    ("found", "workers", "layout"),
    [
        ([Machine(16)], None, Layout(1, 16)),
        ([Machine(16)], 3, Layout(3, 5)),
        ([Machine(16), Machine(8)], None, Layout(3, 8)),
        ([Machine(16, 2), Machine(8)], None, Layout(2, 8, 1)),
    ],
)
def test_workers_fill_the_cluster(found: list[Machine], workers: int | None, layout: Layout) -> None:
    assert cluster.arrange(found, "auto", workers, None) == layout


def test_more_workers_than_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="5 workers with 1 cores each; the cluster has room for 4; use fewer"):
        cluster.arrange([Machine(2), Machine(2)], "cpu", 5, None)


@pytest.mark.parametrize("address", ["x", "http://x:1", "ray://", "ray://x:port"])
def test_what_is_no_address_is_refused(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="is no cluster; give local or ray://HOST:PORT"):
        cluster.check(address)


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match=r"cannot be reached: .*refused; start it with `ray start --head`"):
        cluster.check("ray://127.0.0.1:1")


def test_the_deaths_are_exceptions_of_ray() -> None:
    exceptions = pytest.importorskip("ray.exceptions")
    assert all(issubclass(getattr(exceptions, name), exceptions.RayError) for name in cluster.DEATHS)


def test_missing_ray_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda library: None)
    with pytest.raises(UsageError, match=r"needs Ray; run pip install 'lowvision-framework\[ray\]'"):
        cluster.check("local")


def test_a_command_of_several_processes_uses_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="--cluster: 2 processes run this command; start one, which shares its work"):
        cluster.check("local")
