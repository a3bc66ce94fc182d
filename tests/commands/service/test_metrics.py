"""Claims about the counters of the service: they add up, in the format of Prometheus, also in several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.commands.service.metrics import SECONDS, Metrics


def values(metrics: Metrics, running: int = 0) -> dict[str, float]:
    """Return the samples of the text by name and labels."""
    lines = [line for line in metrics.text(running).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@given(st.lists(st.floats(0, 200), max_size=20))
def test_buckets_are_cumulative_and_end_with_all_responses(times: list[float]) -> None:
    metrics = Metrics()
    for seconds in times:
        metrics.count_response(200, seconds)
    found = values(metrics)
    buckets = [found[f'lowvision_response_seconds_bucket{{le="{bound:g}"}}'] for bound in SECONDS]
    assert buckets == [sum(seconds <= bound for seconds in times) for bound in SECONDS]
    assert (
        found['lowvision_response_seconds_bucket{le="+Inf"}'] == found["lowvision_response_seconds_count"] == len(times)
    )
    assert found["lowvision_response_seconds_sum"] == pytest.approx(sum(times), abs=1e-5)


def test_responses_are_counted_by_status_and_images_by_branch() -> None:
    metrics = Metrics()
    for status in (200, 429, 200):
        metrics.count_response(status, 0.1)
    metrics.count_image(100, (3, 1), cost=10, base_cost=40)
    metrics.count_image(50, (0, 2), cost=5, base_cost=20)
    found = values(metrics, running=2)
    assert found['lowvision_responses_total{status="200"}'] == 2
    assert found['lowvision_responses_total{status="429"}'] == 1
    assert [found[f'lowvision_tiles_total{{branch="{k}"}}'] for k in (0, 1)] == [3, 3]
    assert found["lowvision_pixels_total"] == 150
    assert [found[f'lowvision_multiply_adds_total{{of="{of}"}}'] for of in ("spent", "base")] == [15, 60]
    assert found["lowvision_running"] == 2


def test_every_sample_belongs_to_a_declared_type() -> None:
    text = Metrics().text(0)
    assert text.endswith("\n")
    declared = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(set(declared)) == len(declared)
    for line in text.splitlines():
        if not line.startswith("#"):
            assert any(line.startswith(name) for name in declared)


def test_threads_lose_no_response() -> None:
    metrics = Metrics()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(400):
            pool.submit(metrics.count_response, 200, 0.1)
    assert values(metrics)['lowvision_responses_total{status="200"}'] == 400
