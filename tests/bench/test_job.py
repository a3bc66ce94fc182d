"""Claims about a row to measure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lowvision.bench.job import Job
from lowvision.bench.rows import Row
from lowvision.errors import LowvisionError, RunError, UsageError
from lowvision.inference import trained_networks
from lowvision.plugins import registry

KNOWN = registry.load()


@pytest.fixture(scope="module")
def job(weights_file: Path) -> Job:
    return Job(Row("routed", "torch"), torch.rand(3, 40, 40), trained_networks.read(weights_file, KNOWN), KNOWN)


def test_without_fixed_shares_the_classifier_chooses(job: Job) -> None:
    assert job.choice() is None
    assert job.routable() is job.parts


def test_fixed_shares_give_each_tile_a_branch(job: Job) -> None:
    choice = replace(job, shares=(0.0, 0.0, 1.0)).choice()
    assert choice is not None
    assert choice.tolist() == [2] * 9  # 3 x 3 tiles of 16 pixels that overlap by 4


def test_a_single_network_cannot_be_routed(job: Job) -> None:
    with pytest.raises(UsageError, match=r"a single network has no classifier .*; leave routed rows out"):
        replace(job, parts=replace(job.parts, classifier=None)).routable()


def test_a_runtime_that_is_not_usable_is_an_error_with_its_reason(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = type(job.runtime)
    monkeypatch.setattr(runtime, "missing", lambda self: "it needs a library; pip install it")
    with pytest.raises(RunError, match="it needs a library; pip install it"):
        _ = job.runtime
    with pytest.raises(LowvisionError, match="nope"):
        _ = replace(job, row=Row("routed", "nope")).runtime
