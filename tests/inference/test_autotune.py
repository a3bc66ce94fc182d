"""The fastest runtime is measured, logged with its figures, and cached."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import tiny
import torch
from torch import Tensor

from lowvision.inference import autotune, trained_networks
from lowvision.inference.autotune import Fastest
from lowvision.inference.trained_networks import ModelBundle
from lowvision.plugins import registry
from lowvision.plugins.contracts import Runtime, Trained
from lowvision.plugins.registry import Entry, Registry

KNOWN = registry.load()


class Slow(Runtime):
    """A correct but slow runtime."""

    def missing(self) -> str | None:
        return None

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        module = network.module()

        def call(x: Tensor) -> Tensor:
            time.sleep(0.2)
            return module(x).detach()

        return call


class Wrong(Slow):
    """A fast runtime with wrong outputs."""

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        return lambda x: torch.zeros(len(x), 3, 2 * x.shape[2], 2 * x.shape[3])


class Broken(Slow):
    """A runtime that raises an unexpected error."""

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        raise OverflowError("too fast\nby far")


class Rigid(Slow):
    """A correct and fast runtime for square tiles only."""

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        module = network.module()

        def call(x: Tensor) -> Tensor:
            if x.shape[-1] != x.shape[-2]:
                raise ValueError("not a tile")
            return module(x).detach()

        return call


class Absent(Slow):
    """A runtime that is not installed."""

    def missing(self) -> str | None:
        return "acme is not installed; pip install acme"


class OnRequest(Slow):
    """Right, but not for everyone."""

    automatic = False


def runtimes(**components: type[Runtime]) -> Registry:
    provided = {
        name: Entry(name, component, "test", "lowvision-framework", "1") for name, component in components.items()
    }
    return cast(Registry, {"runtimes": provided})


TORCH: Any = KNOWN.find("runtimes", "torch").component


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelBundle:
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "cache"))
    return trained_networks.read(tiny.write_weights(tmp_path / "w.safetensors", tiny.architecture()), KNOWN)


def test_the_fastest_runtime_is_selected_and_unusable_ones_are_listed(parts: ModelBundle) -> None:
    known = runtimes(slow=Slow, torch=TORCH, wrong=Wrong, broken=Broken, absent=Absent, asked=OnRequest)
    fastest = autotune.find(parts, known, 16, 16)
    assert fastest.name == "torch"
    assert fastest.seconds.keys() == {"torch", "slow"}
    assert fastest.seconds["slow"] >= 0.2 / autotune.TILES
    assert fastest.left_out.keys() == {"wrong", "broken", "absent", "asked"}
    assert fastest.left_out["wrong"].startswith("its output differs from that of torch by ")
    assert fastest.left_out["broken"] == "OverflowError: too fast by far"
    assert fastest.left_out["absent"] == "acme is not installed; pip install acme"
    assert fastest.left_out["asked"] == "it is used only if it is selected"


@pytest.mark.parametrize(("scale", "valid"), [(1.0, False), (296.0, True)])
def test_outputs_are_compared_relative_to_their_largest_value(scale: float, valid: bool) -> None:
    """SPAN's output for noise reaches 296, where a deviation by rounding is as large as an error in an image."""
    output = scale * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    rounded = output + 0.05
    results = {
        name: autotune.BenchmarkResult(image, seconds, "")
        for name, image, seconds in (("torch", output, 2.0), ("other", rounded, 1.0))
    }
    fastest = autotune._select(results, {}, autotune.AGREES["f32"])
    assert ("other" in fastest.seconds) == valid
    assert fastest.name == ("other" if valid else "torch")


def test_a_runtime_that_accepts_tiles_only_is_selected_last(parts: ModelBundle) -> None:
    fastest = autotune.find(parts, runtimes(slow=Slow, rigid=Rigid), 16, 16)
    assert fastest.name == "slow"
    assert fastest.left_out == {"rigid": "it accepts tiles only, not windows of other sizes: ValueError: not a tile"}
    assert autotune.find(parts, runtimes(rigid=Rigid), 16, 16).name == "rigid"


def test_measuring_does_not_change_the_number_of_threads(parts: ModelBundle) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        autotune.find(parts, runtimes(torch=TORCH), 16, 16, callers=3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_runtime_that_fails_is_logged(parts: ModelBundle, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lowvision")
    autotune.find(parts, runtimes(torch=TORCH, broken=Broken, absent=Absent), 16, 16)
    assert caplog.messages[1:] == ["runtime broken is left out: OverflowError: too fast by far"]


def test_a_runtime_without_the_precision_is_left_out(parts: ModelBundle) -> None:
    onnxruntime: Any = KNOWN.find("runtimes", "onnxruntime").component
    fastest = autotune.find(parts, runtimes(torch=TORCH, onnxruntime=onnxruntime), 16, 16, precision="bf16")
    assert fastest.name == "torch"
    assert fastest.left_out == {"onnxruntime": "it does not support bf16"}


def test_the_result_is_cached_until_its_inputs_change(parts: ModelBundle, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lowvision")

    def find(**changes: Any) -> Fastest:
        arguments: dict[str, Any] = {"registry": runtimes(torch=TORCH), "height": 16, "width": 16}
        return autotune.find(parts, **(arguments | changes))

    assert find() == find()
    assert caplog.messages == ["measuring which runtime is the fastest, once: torch; the result is cached"]
    find(callers=2)
    find(height=24)
    find(precision="bf16")
    find(registry=runtimes(torch=TORCH, slow=Slow))
    assert len(caplog.messages) == 5


def test_an_edited_runtime_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = autotune._versions(KNOWN["runtimes"])
    monkeypatch.setattr(autotune.source_code, "of_component", lambda component: {"lowvision_runtimes": "edited"})
    assert autotune._versions(KNOWN["runtimes"]) != before


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_installed_runtimes_agree_with_torch(parts: ModelBundle, name: str) -> None:
    pytest.importorskip(name)
    pytest.importorskip("onnxscript")
    known = runtimes(torch=TORCH, **{name: KNOWN.find("runtimes", name).component})
    fastest = autotune.find(parts, known, 16, 16, callers=2)
    assert fastest.seconds.keys() == {"torch", name}
    assert fastest.left_out == {}


def test_concurrent_calls_are_timed_together() -> None:
    alone, together = (autotune.seconds_a_call(lambda x: time.sleep(0.02), torch.zeros(1), n) for n in (1, 4))  # type: ignore[arg-type, return-value]  # its output is not looked at
    assert together < alone / 2


def test_the_result_is_formatted_with_its_measurements() -> None:
    assert str(Fastest("b", {"a": 0.0314, "b": 0.0157}, {})) == "b (15.7 ms per tile; a 31.4)"
    assert str(Fastest("torch", {}, {})) == "torch"


def test_the_time_of_a_call_includes_queued_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from lowvision.system import devices

    monkeypatch.setattr(devices, "synchronize", lambda device: time.sleep(0.02))
    assert autotune.seconds_a_call(lambda x: x, torch.zeros(1), in_a_row=2, device="cuda") >= 0.01
