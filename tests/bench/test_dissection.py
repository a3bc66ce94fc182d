"""Claims about the time of branches in a routed restore."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lowvision.bench import dissection, worker
from lowvision.bench.job import Method
from lowvision.routing.networks import Networks
from lowvision.system import devices


def test_calls_of_branches_are_timed_to_the_end_of_queued_work(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(devices, "synchronize", events.append)

    def branch(x: Tensor) -> Tensor:
        events.append("call")
        return x

    networks_of = Networks(branch, (branch,), lambda shape: (1,), lambda shape: 1)
    dissection.recorded(networks_of, dissection.BranchCalls(1, "cuda:0")).branches[0](torch.zeros(1))
    assert events == ["cuda:0", "call", "cuda:0"]
    worker._measured(Method(lambda: events.append("run"), lambda: 0), "cpu")
    assert events[3:] == ["cpu", "run", "cpu"]
