"""Devices are named, numbered and counted; what a device does not support is reported before the work starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lowvision.errors import RunError
from lowvision.system import devices


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Simulate two CUDA devices, of which the second is the current one."""
    calls: dict[str, Any] = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Model {device.index}")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: calls.setdefault("waited", []).append(device))
    return calls


def test_a_selected_gpu_keeps_its_index_in_every_thread(two_gpus: Any) -> None:
    assert devices.resolve("cuda") == "cuda:1"
    assert devices.resolve("auto") == "cuda:1"
    assert devices.resolve("cuda:0") == "cuda:0"
    assert devices.resolve("cpu") == "cpu"


def test_an_unknown_gpu_index_is_refused_with_the_available_ones(two_gpus: Any) -> None:
    assert devices.choose("cuda:1") == "cuda:1"
    with pytest.raises(RunError, match=r"'cuda:2' is not available; there are 2 \(cuda:0 to cuda:1\)"):
        devices.choose("cuda:2")


def test_several_accelerators_are_listed_with_commas(two_gpus: Any) -> None:
    assert devices.resolve_all("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    assert devices.resolve_all("auto") == ("cuda:1",)
    with pytest.raises(RunError, match="names cuda:1 twice; name each device once"):
        devices.resolve_all("cuda:1,cuda")
    with pytest.raises(RunError, match="the CPU cannot be combined with other devices"):
        devices.resolve_all("cuda:0,cpu")


@pytest.mark.parametrize("name", ["cuda:", "cuda:x", "tpu", "cuda:-1"])
def test_an_unknown_device_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(RunError, match=f"no device '{name}'; there are auto, cuda, xpu, mps, cpu"):
        devices.choose(name)


def test_a_gpu_selected_by_index_allows_one_process(two_gpus: Any) -> None:
    devices.check_processes(2, "cuda")
    with pytest.raises(RunError, match="there are 1 visible accelerators"):
        devices.check_processes(2, "cuda:1")


def test_synchronising_names_the_device(two_gpus: Any) -> None:
    devices.synchronize("cpu")
    devices.synchronize("cuda:1")
    assert two_gpus["waited"] == [torch.device("cuda:1")]


def test_channels_last_is_used_on_all_devices_except_mps() -> None:
    assert devices.layout("mps") == torch.contiguous_format
    assert devices.layout("cpu") == devices.layout("cuda:1") == torch.channels_last


def test_exact_float32_disables_tf32_on_cuda_and_restores_it() -> None:
    before = torch.backends.cudnn.allow_tf32
    assert before
    with devices.exact_float32("cuda:0"):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
    with devices.exact_float32("cpu"):
        assert torch.backends.cudnn.allow_tf32 == before


def test_an_unsupported_precision_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "use bf16, or no" in str(devices.precision_issue("fp16", "cpu"))
    assert devices.precision_issue("bf16", "cpu") is None
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert "emulate" in str(devices.precision_issue("bf16", "cuda"))
    assert devices.precision_issue("fp16", "cuda") is None


def test_the_machine_identity_includes_the_accelerator_model(two_gpus: Any) -> None:
    assert devices.accelerator_name("cuda:1") == "Model 1"
    assert devices.accelerator_name("cpu") == ""


def test_synchronising_mps_waits_for_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[bool] = []
    monkeypatch.setattr(torch, "mps", SimpleNamespace(synchronize=lambda: waited.append(True)))
    devices.synchronize("mps")
    assert waited == [True]
