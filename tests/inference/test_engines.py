"""The engine for given weights: how far tiles are merged, which runtime, and what the base costs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import tiny
import torch
from torch import nn

from lowvision.errors import RecipeError, RunError, UsageError
from lowvision.inference import engines, trained_networks
from lowvision.models.architecture import Architecture, Tile
from lowvision.plugins import registry
from lowvision.plugins.contracts import Backbone, Task
from lowvision.routing.regions import Geometry
from lowvision_denoise import Denoising, DnCNN
from lowvision_runtimes import OpenVINO, Torch
from lowvision_sr import CARN, FSRCNN, RCAN, SRResNet, SuperResolution

KNOWN = registry.load()


def alone(backbone: Backbone) -> Architecture:
    return Architecture(task=SuperResolution(scale=4), branches=(backbone,))


@pytest.mark.parametrize(
    ("backbone", "merge"), [(FSRCNN(), 8), (CARN(), 2), (SRResNet(), 2), (RCAN(layers=1, blocks=1), 1)]
)
def test_tiles_merge_within_the_feature_limit_and_never_with_global_attention(backbone, merge):
    assert engines.geometry(alone(backbone)) == Geometry(merge)


def test_one_branch_with_global_reach_prevents_merging():
    mixed = Architecture(task=SuperResolution(scale=4), branches=(FSRCNN(), RCAN(layers=1, blocks=1)))
    assert engines.geometry(mixed).merge == 1
    wide = mixed.replace(tile=Tile(merge=True))
    assert engines.geometry(wide).merge > 1


def test_a_number_says_how_far_tiles_merge_whatever_memory_that_takes():
    heavy = alone(SRResNet()).replace(tile=Tile(size=64, merge=4))
    assert engines.geometry(heavy) == Geometry(4)
    assert engines.geometry(heavy.replace(tile=Tile(size=64))).merge < 4


class Sixes(Backbone):
    """A convolution with multiple_of 6."""

    multiple_of: ClassVar[int] = 6

    def build(self, task: Task) -> nn.Module:
        return nn.Conv2d(task.channels, task.channels, 3, padding=1)

    def reach(self, task: Task) -> int:
        return 1


class Fours(Backbone):
    """A convolution with multiple_of 4."""

    multiple_of: ClassVar[int] = 4

    def build(self, task: Task) -> nn.Module:
        return nn.Conv2d(task.channels, task.channels, 3, padding=1)

    def reach(self, task: Task) -> int:
        return 1


def test_a_window_has_the_multiple_and_context_of_every_branch():
    architecture = Architecture(task=Denoising(), branches=(Fours(), Sixes()), tile={"size": 24})
    assert engines.geometry(architecture) == Geometry(8, multiple_of=12)


def test_a_same_size_task_merges_more_tiles():
    assert engines.geometry(Architecture(task=Denoising(), branches=(DnCNN(),))).merge == 8


def test_the_whole_image_cost_of_the_base_is_proportional_to_its_pixels():
    container = Architecture(task=SuperResolution(scale=4), branches=(FSRCNN(channels=16), FSRCNN(channels=56)))
    assert engines.base_cost(container, 96, 64) == 6 * engines.base_cost(container, 32, 32)


def test_auto_selects_an_installed_runtime_and_logs_it(weights_file: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "lowvision")
    parts = trained_networks.read(weights_file, KNOWN)
    runtime = engines.runtime_named("auto", parts, KNOWN, "cpu")
    assert caplog.messages[-1].startswith(f"runtime: {KNOWN.name_of(runtime)}")
    assert runtime.missing() is None


def test_an_unknown_runtime_is_refused(weights_file: Path):
    with pytest.raises(RecipeError, match="did you mean 'openvino'"):
        engines.runtime_named("openvin", trained_networks.read(weights_file, KNOWN), KNOWN, "cpu")


def test_a_runtime_that_is_not_installed_is_refused(weights_file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lowvision_runtimes.find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"pip install 'lowvision-framework\[openvino\]'"):
        engines.build(trained_networks.read(weights_file, KNOWN), OpenVINO(), "cpu")


def test_a_precision_that_a_runtime_does_not_support_is_refused(weights_file: Path):
    parts = trained_networks.read(weights_file, KNOWN)
    with pytest.raises(UsageError, match="runtime onnxruntime does not support bf16"):
        engines.runtime_named("onnxruntime", parts, KNOWN, "cpu", "bf16")
    assert engines.runtime_named("torch", parts, KNOWN, "cpu", "bf16") == Torch(precision="bf16")


def test_bfloat16_changes_values_but_not_branches(weights_file: Path):
    parts = trained_networks.read(weights_file, KNOWN)
    full, halved = (engines.build(parts, Torch(precision=name), "cpu") for name in ("f32", "bf16"))
    tiles = torch.rand(4, 3, 32, 32)
    assert torch.equal(full.networks.classify(tiles), halved.networks.classify(tiles))
    assert not torch.equal(full.networks.branches[0](tiles), halved.networks.branches[0](tiles))


def test_a_single_network_has_no_classifier(tmp_path: Path):
    path = tiny.write_weights(tmp_path / "base.safetensors", tiny.architecture().only(-1))
    engine = engines.build(
        trained_networks.read(path, KNOWN),
        engines.runtime_named("torch", trained_networks.read(path, KNOWN), KNOWN, "cpu"),
        "cpu",
    )
    assert len(engine.networks.branches) == 1


def test_a_runtime_accepts_options_like_any_choice(weights_file: Path):
    parts = trained_networks.read(weights_file, KNOWN)

    def runtime(value, precision="f32"):
        return engines.runtime_named(value, parts, KNOWN, "cpu", precision)

    options = {"torch": {"batch": 7, "compile": True}}
    assert runtime(options) == Torch(batch=7, compile=True)
    assert runtime(Torch(batch=7)) == Torch(batch=7)
    assert runtime({"torch": {"batch": 7}}, "bf16") == Torch(batch=7, precision="bf16")
    assert runtime({"torch": {"precision": "bf16"}}) == Torch(precision="bf16")
    assert engines.build(parts, Torch(batch=7), "cpu").batch == 7
    assert options == {"torch": {"batch": 7, "compile": True}}
    with pytest.raises(UsageError, match="precision f16: the runtime's options set bf16; omit one"):
        runtime({"torch": {"precision": "bf16"}}, "f16")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"torch": {"bach": 7}}, "bach"),
        ({"torch": {"batch": 0}}, "batch"),
        ({"trch": {}}, "did you mean 'torch'"),
        (["torch"], "one name, or one name with its options"),
        (None, "one name, or one name with its options"),
        ({"onnxruntime": {"precision": "bf16"}}, "precision"),
    ],
)
def test_a_runtime_with_unknown_options_is_refused(weights_file: Path, value, message: str):
    with pytest.raises(UsageError, match=message):
        engines.runtime_named(value, trained_networks.read(weights_file, KNOWN), KNOWN, "cpu")


def test_large_windows_run_one_at_a_time_if_memory_is_short(weights_file: Path, monkeypatch: pytest.MonkeyPatch):
    parts = trained_networks.read(weights_file, KNOWN)
    monkeypatch.setattr(engines, "callers", lambda device: 8)
    window = engines.base_bytes(parts.architecture, 16, 16)
    callers = []
    for windows in (0, 3, 100):
        monkeypatch.setattr(engines.devices, "free_memory", lambda device, windows=windows: windows * window)
        callers.append(engines._callers_for(parts.architecture, Geometry(), "cpu"))
    assert callers == [1, 3, 8]


def test_the_batch_follows_the_device_and_its_free_memory(monkeypatch: pytest.MonkeyPatch):
    architecture = alone(CARN())

    def batch(free: int) -> int:
        monkeypatch.setattr(engines.devices, "free_memory", lambda device: free)
        return engines.batch_size(architecture, Torch(), torch.device("cuda:0"))

    assert engines.batch_size(architecture, Torch(), torch.device("cpu")) == 4
    assert engines.batch_size(architecture.replace(tile=Tile(size=64)), Torch(), torch.device("cpu")) == 1
    assert batch(0) == 4
    assert 16 < batch(2 * 2**30) < batch(24 * 2**30) <= 1024
    assert batch(140 * 2**30) == 1024
    assert engines.batch_size(architecture, Torch(batch=3), torch.device("cuda:0")) == 3
