"""Claims about networks as ONNX graphs: every runtime returns the network's output, at any size that it accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from graph_runtimes import CLOSE, KNOWN, SHAPES, PixelDependent, each_runtime, largest_deviations, unnoticed
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lowvision import upsample
from lowvision.errors import WeightsError
from lowvision.inference import onnx_graph
from lowvision.plugins.contracts import Backbone, Task

pytest.importorskip("onnxscript")

AGREES = 1e-4
"""Tolerance for outputs in [0,1] of a whole network."""


class Enlarge(nn.Module):
    """An interpolation as a network."""

    def __init__(self, scale: int, mode: Any):
        super().__init__()
        self.scale, self.mode = scale, mode

    def forward(self, lq: Tensor) -> Tensor:
        return upsample(lq, self.scale, self.mode)


def pick(kind: str, name: str, **options: Any) -> Any:
    return KNOWN.find(kind, name).component(**options)


def with_random_weights(network: nn.Module) -> nn.Module:
    """Return a network with random weights in every layer and outputs in image range."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, a=1.0 if module.bias is None else 0.25)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)  # type: ignore[union-attr]  # it tracks
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]  # as above
    last = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)][-1]
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        network.eval()
        before = network(x)
        last.weight *= 2
        moved = (network(x) - before).std()  # contribution of the last layer
        last.weight *= 0.1 / moved
    return network


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_an_exported_interpolation_equals_pytorch_at_every_pixel(mode: str, scale: int, tmp_path: Path) -> None:
    network = Enlarge(scale, mode).eval()
    onnx_graph.write(network, tmp_path / "g.onnx", 3, 16, 1)
    far = largest_deviations(network, tmp_path / "g.onnx", (*SHAPES, (1, 3, 1, 1), (1, 3, 2, 33), (2, 3, 3, 1)))
    assert max(far.values()) < CLOSE, far


BACKBONES = {
    "fsrcnn": (pick("backbones", "fsrcnn", layers=2), 3),
    "carn": (pick("backbones", "carn", channels=16, layers=1, skip="bicubic"), 4),
    "carn_batch_norm": (pick("backbones", "carn", channels=16, layers=1, batch_norm=True), 2),
    "srresnet": (pick("backbones", "srresnet", channels=16, layers=2), 4),
    "rcan": (pick("backbones", "rcan", channels=16, layers=1, blocks=2), 2),
    "dncnn": (pick("backbones", "dncnn", channels=16, layers=5), 1),
    "dncnn_batch_norm": (pick("backbones", "dncnn", channels=16, layers=5, batch_norm=True), 1),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_every_shipped_backbone_agrees_in_every_runtime(name: str, tmp_path: Path) -> None:
    backbone, scale = BACKBONES[name]
    network = with_random_weights(
        backbone.build(pick("tasks", "sr", scale=scale) if scale > 1 else pick("tasks", "denoise"))
    )
    onnx_graph.write(network, tmp_path / "g.onnx", 3, 16, backbone.multiple_of)
    far = largest_deviations(network, tmp_path / "g.onnx")
    assert max(far.values()) < AGREES, far


@pytest.mark.parametrize("classifier", [pick("classifiers", "class_module"), pick("classifiers", "timm")], ids=repr)
def test_every_shipped_classifier_agrees_in_every_runtime(classifier: Any, tmp_path: Path) -> None:
    network = with_random_weights(classifier.build(pick("tasks", "sr"), 3))
    onnx_graph.write(network, tmp_path / "g.onnx", 3, 32, 1)
    far = largest_deviations(
        network, tmp_path / "g.onnx", ((2, 3, 32, 32), (1, 3, 32, 32), (7, 3, 32, 32), (2, 3, 40, 48))
    )
    assert max(far.values()) < AGREES, far


def sides(path: Path) -> dict[str, list[int]]:
    """Return the sides of input and output of a graph by their names; 0: dynamic."""
    import onnx

    graph = onnx.load(path).graph
    return {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }


class OnlySquare(nn.Module):
    """A network whose trace holds for one height and width."""

    def forward(self, lq: Tensor) -> Tensor:
        assert lq.shape[2] == lq.shape[3] == 16
        return lq * 2


def test_a_network_of_one_size_is_exported_with_a_dynamic_batch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = OnlySquare().eval()
    with unnoticed(caplog):
        onnx_graph.write(network, tmp_path / "g.onnx", 3, 16, 1)
    assert sides(tmp_path / "g.onnx")["lq"] == [0, 3, 16, 16]
    assert max(largest_deviations(network, tmp_path / "g.onnx", ((1, 3, 16, 16), (5, 3, 16, 16))).values()) == 0


def test_a_network_that_cannot_be_exported_is_an_error_with_a_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with unnoticed(caplog), pytest.raises(WeightsError, match=r"cannot be exported: .*; use runtime torch"):
        onnx_graph.write(PixelDependent().eval(), tmp_path / "g.onnx", 3, 16, 1)
    assert not (tmp_path / "g.onnx").exists()


def test_a_missing_exporter_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lowvision.inference.onnx_graph.find_spec", lambda library: None)
    with pytest.raises(WeightsError, match="needs onnx and onnxscript; pip install 'lowvision-framework"):
        onnx_graph.write(OnlySquare(), tmp_path / "g.onnx", 3, 16, 1)


def test_a_third_party_backbone_can_be_exported(tmp_path: Path) -> None:
    class Stride(Backbone):
        multiple_of = 8

        def build(self, task: Task) -> nn.Module:
            down = nn.Conv2d(3, 8, 8, stride=8)
            return nn.Sequential(down, nn.GELU(), nn.ConvTranspose2d(8, 3, 8, stride=8))

        def reach(self, task: Task) -> int:
            return 8

    network = Stride().build(pick("tasks", "denoise")).eval()
    onnx_graph.write(network, tmp_path / "g.onnx", 3, 16, Stride.multiple_of)
    far = largest_deviations(network, tmp_path / "g.onnx", ((1, 3, 24, 40), (3, 3, 8, 8)))
    assert max(far.values()) < CLOSE, far


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the graph of a bicubic enlargement by 2 for tiles of 16x16."""
    path = tmp_path_factory.mktemp("graph") / "g.onnx"
    onnx_graph.write(Enlarge(2, "bicubic").eval(), path, 3, 16, 1)
    return path


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40))
def test_a_graph_accepts_any_batch_height_and_width(doubled: Path, batch: int, height: int, width: int) -> None:
    call = each_runtime(doubled).get("onnxruntime")
    if call is None:
        pytest.skip("onnxruntime is not installed")
    x = torch.rand(batch, 3, height, width)
    torch.testing.assert_close(call(x), upsample(x, 2, "bicubic"), rtol=0, atol=CLOSE)


def test_input_and_output_have_fixed_names_and_dynamic_sides(doubled: Path) -> None:
    assert sides(doubled) == {"lq": [0, 3, 0, 0], "output": [0, 3, 0, 0]}


@given(st.floats(0.1, 8), st.floats(0.1, 8), st.booleans())
def test_bicubic_by_other_factors_than_one_integer_is_refused(down: float, across: float, corners: bool) -> None:
    assume(corners or down != across or not down.is_integer() or down < 1)
    with pytest.raises(ValueError, match="enlarges both sides by the same integer factor"):
        onnx_graph._enlarge_bicubically(None, None, corners, down, across)


def test_a_graph_is_identified_by_the_versions_that_determine_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = onnx_graph.maker()
    assert before == onnx_graph.maker()
    assert torch.__version__ in before
    monkeypatch.setattr(onnx_graph, "version", lambda library: f"another {library}")
    assert onnx_graph.maker()[2:] == ["another onnx", "another onnxscript"]
