"""Cores are those that affinity and container leave to this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lowvision.system import cores


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "CGROUP_QUOTAS", ())


def test_the_core_count_follows_cpu_affinity(eight_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    assert cores.usable() == 8


@pytest.mark.parametrize(
    ("content", "expected"),
    [("max 100000", 8), ("300000 100000", 3), ("50000 100000", 1), ("900000 100000", 8), ("broken", 8)],
)
def test_a_cgroup_quota_reduces_the_core_count(
    eight_cores: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, expected: int
) -> None:
    (tmp_path / "cpu.max").write_text(content)
    monkeypatch.setattr(cores, "CGROUP_QUOTAS", ((str(tmp_path / "cpu.max"),),))
    assert cores.usable() == expected


def test_cgroup_1_quota_and_period_are_read_from_two_files(
    eight_cores: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = [tmp_path / "quota", tmp_path / "period"]
    monkeypatch.setattr(cores, "CGROUP_QUOTAS", (tuple(map(str, files)),))
    files[1].write_text("100000")
    for quota, expected in (("-1", 8), ("200000", 2)):
        files[0].write_text(quota)
        assert cores.usable() == expected


def test_local_processes_share_the_cores(eight_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores.per_process() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert cores.per_process() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "64")
    assert cores.per_process() == 1
