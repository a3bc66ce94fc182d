"""The Accelerator of a command waits as long as images take, and splits no network."""

from __future__ import annotations

from datetime import timedelta

import pytest
import tiny
import torch

from lowvision.errors import RunError
from lowvision.system import accelerators, processes


def wait_long() -> None:
    """Join the group and check the timeout of its collectives."""
    accelerator = accelerators.build("cpu")
    assert accelerator.num_processes == 2
    group = torch.distributed.distributed_c10d._get_default_group()
    timeout = group._get_backend(torch.device("cpu")).options._timeout
    assert timeout == processes.PATIENCE > timedelta(hours=1)
    accelerator.wait_for_everyone()  # the first process serves the others until they have joined


def test_collectives_of_a_run_have_a_timeout_of_days() -> None:
    assert tiny.in_two_processes(wait_long) == [0, 0]


def test_runs_of_one_process_may_differ_in_precision() -> None:
    assert [accelerators.build("cpu", mixed_precision=each).mixed_precision for each in ("no", "bf16", "no")] == [
        "no",
        "bf16",
        "no",
    ]


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED", "MEGATRON_LM", "TP"])
def test_a_sharded_network_is_refused(kind: str) -> None:
    with pytest.raises(RunError, match=f"{kind} splits the network over processes, which is not supported"):
        processes.check_replicated(kind)


@pytest.mark.parametrize("kind", processes.REPLICATED)
def test_a_replicated_network_is_accepted(kind: str) -> None:
    processes.check_replicated(kind)


def test_unsupported_accelerate_settings_are_refused_before_building(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(RunError, match="FSDP splits the network"):
        accelerators.build("cpu")
