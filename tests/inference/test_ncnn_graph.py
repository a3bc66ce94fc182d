"""A network exported to ncnn returns the network's output for images of any size, or its export names the operator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from graph_runtimes import PixelDependent, unnoticed
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lowvision import RunError, Trained, cli, upsample
from lowvision.errors import WeightsError
from lowvision.inference import ncnn_graph, package, restorer, trained_networks
from lowvision.models import ncnn as reader
from lowvision.models import pretrained
from lowvision.plugins import registry

KNOWN = registry.load()
CLOSE = 2e-5
"""Relative to the largest output, at least 1: ncnn approximates exponentials."""
AGREES = 1e-3
"""The same for a whole network."""
SHAPES = ((2, 3, 16, 20), (1, 3, 25, 19))


class Files(Trained):
    """The files of an exported network."""

    def __init__(self, folder: Path, network: nn.Module, size: int = 16, step: int = 1):
        text, content = ncnn_graph.convert(network, "it", 3, size, step)
        self.path = folder / "it.param"
        self.path.write_text(text)
        self.path.with_suffix(".bin").write_bytes(content)

    def module(self) -> nn.Module:
        raise NotImplementedError

    def onnx(self) -> Path:
        raise NotImplementedError

    def ncnn(self) -> Path:
        return self.path


class Formula(nn.Module):
    """A function of the input and of two convolutions of it as a network."""

    def __init__(self, formula: Callable[..., Tensor]):
        super().__init__()
        self.formula = formula
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)

    def forward(self, lq: Tensor) -> Tensor:
        return self.formula(lq, self.a(lq), self.b(lq))


def off(network: nn.Module, folder: Path, shapes: Any = SHAPES, step: int = 1) -> float:
    """The largest deviation of ncnn from PyTorch over all shapes, relative to the output."""
    runtime = KNOWN.find("runtimes", "ncnn").component()
    if reason := runtime.missing():
        pytest.skip(reason)
    call, largest = runtime.prepare(Files(folder, network.eval(), step=step), 1, "cpu"), 0.0
    for shape in shapes:
        x = torch.rand(shape)
        with torch.inference_mode():
            expected = network(x)
        found = call(x)
        assert found.shape == expected.shape
        largest = max(largest, ((found - expected).abs().max() / expected.abs().max().clamp_min(1)).item())
    return largest


COLOURS = torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)
FORMULAS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "activations": lambda x, a, b: torch.cat(
        [F.relu(a), F.leaky_relu(b, 0.2), F.silu(a), F.gelu(b), F.gelu(a, approximate="tanh"), a.sigmoid(), b.tanh()], 1
    ),
    "functions": lambda x, a, b: torch.cat([a.abs(), b.square(), (a.abs() + 1).log(), b.exp(), a.abs().sqrt()], 1),
    "arithmetic": lambda x, a, b: (
        (2 - a) / (b.abs() + 1) - torch.add(a, b, alpha=0.5) * (1 / (a * a + 3)) + (-b) * (a.abs() + 1).rsqrt()
    ),
    "constants": lambda x, a, b: (x - COLOURS) * 255 + COLOURS / (x + COLOURS),
    "limits": lambda x, a, b: torch.cat([a.clamp(-0.1, 0.2), b.clamp(max=0.1)], 1),
    "parts": lambda x, a, b: torch.cat([a[:, :3], b[:, 2:-1], *a.split([1, 2, 5], 1), *b.chunk(2, 1)], 1),
    "crops": lambda x, a, b: a[..., 1:-2, 3:],
    "padding": lambda x, a, b: torch.cat([F.pad(a, (1, 2, 3, 0), m) for m in ("constant", "replicate", "reflect")], 1),
    "means": lambda x, a, b: a * a.mean((2, 3), keepdim=True) + F.adaptive_avg_pool2d(b, 1) * b.mean(1, keepdim=True),
    "pooling": lambda x, a, b: torch.cat([F.max_pool2d(a, 3, 2, 1), F.avg_pool2d(b, 3, 2, 1)], 1),
    "ceiling": lambda x, a, b: F.avg_pool2d(b, 2, ceil_mode=True, count_include_pad=False),
    "nearest": lambda x, a, b: F.pixel_shuffle(a, 2) + upsample(b[:, :2], 2, "nearest"),
    "bilinear": lambda x, a, b: upsample(a, 3, "bilinear") + F.interpolate(b, scale_factor=3, mode="bicubic"),
    "bicubic": lambda x, a, b: upsample(x, 4, "bicubic"),
    "a reference": lambda x, a, b: F.interpolate(F.max_pool2d(a, 5, 3), x.shape[2:], mode="bilinear") * b,
    "in place": lambda x, a, b: F.relu(a, inplace=True) + a,
    "maxima": lambda x, a, b: a * a.amax((2, 3), keepdim=True) + b.amax(1, keepdim=True),
    "one vector": lambda x, a, b: a.mean((2, 3)),
    "vectors": lambda x, a, b: torch.cat(
        [a.amax((2, 3))[:, :-1] * torch.arange(1.0, 8.0) + b.mean((2, 3))[:, -1:], torch.ones(8) - b.amax((2, 3))], 1
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_operators_are_the_same_at_every_value(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert off(Formula(FORMULAS[name]), tmp_path) < CLOSE


def test_space_goes_to_channels_in_the_order_of_pytorch(tmp_path: Path) -> None:
    unshuffled = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 8, 3, padding=1), nn.PixelShuffle(2))
    assert off(unshuffled, tmp_path, ((1, 3, 16, 20), (1, 3, 26, 18)), step=2) < CLOSE


@settings(max_examples=8, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(),
    activation=st.sampled_from([nn.Identity(), nn.ReLU(), nn.LeakyReLU(0.3), nn.PReLU(8), nn.BatchNorm2d(8)]),
)
def test_convolutions_of_every_kind_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, activation: nn.Module, kernel: tuple[int, int], **options: Any
) -> None:
    torch.manual_seed(0)
    last = nn.ConvTranspose2d(8, 4, kernel, stride=options["stride"], groups=options["groups"], output_padding=0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, kernel, **options), activation, last)
    assert off(network, tmp_path_factory.mktemp("convolutions")) < CLOSE


def pick(kind: str, name: str, **options: Any) -> Any:
    return KNOWN.find(kind, name).component(**options)


NETWORKS = {
    "fsrcnn": {"layers": 1},
    "carn": {"channels": 8, "layers": 1},
    "srresnet": {"channels": 8, "layers": 1},
    "disp": {"channels": 8},
    "rlfn": {"channels": 8, "layers": 1},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_backbones_are_the_same(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = pick("backbones", name, **NETWORKS[name])
    network = backbone.build(pick("tasks", "sr", scale=4))
    assert off(network, tmp_path, step=backbone.multiple_of, shapes=((1, 3, 16, 20), (1, 3, 24, 30))) < AGREES


def test_the_classifier_of_the_default_weights_predicts_the_same_errors() -> None:
    runtime = KNOWN.find("runtimes", "ncnn").component()
    if reason := runtime.missing():
        pytest.skip(reason)
    classifier = trained_networks.read(pretrained.default(KNOWN), KNOWN).classifier
    assert classifier is not None
    noise = torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    tiles = noise * torch.linspace(0, 1, 12)[:, None, None, None]
    with torch.inference_mode():
        expected = classifier.module().eval()(tiles)
    found = runtime.prepare(classifier, 1, "cpu")(tiles)
    assert expected.min() < 1e4 * expected.max()  # minus the errors, of flat and of noisy tiles
    torch.testing.assert_close(found, expected, rtol=CLOSE, atol=0)


def test_a_file_is_read_back_with_the_same_weights(tmp_path: Path) -> None:
    class Compact(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.PReLU(6), nn.Conv2d(6, 12, 3, padding=1))

        def forward(self, lq: Tensor) -> Tensor:
            return F.pixel_shuffle(self.body(lq), 2) + upsample(lq, 2, "nearest")

    network = Compact().eval()
    found = reader.read(Files(tmp_path, network).path)
    expected = network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


REFUSED: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], str]] = {
    "operator": (
        lambda x, a, b: a.permute(0, 2, 3, 1),
        "ncnn, which has no layer for the operator permute; use runtime",
    ),
    "constant": (lambda x, a, b: a * torch.ones(2, 8, 1, 1), "a constant of 2x8x1x1"),
    "in place": (lambda x, a, b: a[:, :2].relu_() + a[:, 2:4], "relu on a part of a tensor, in place"),
    "fixed size": (lambda x, a, b: a if x.shape[2] == 16 else b, "cannot be exported to ncnn: "),
    "no input": (lambda x, a, b: torch.ones(1), "a result that does not depend on the input"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_ncnn_cannot_compute_is_named(name: str) -> None:
    formula, message = REFUSED[name]
    with pytest.raises(WeightsError, match=message):
        ncnn_graph.convert(Formula(formula).eval(), "it", 3, 16, 1)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_weights(tmp_path_factory.mktemp("weights") / "w.safetensors", tiny.architecture())


def test_a_package_of_ncnn_restores_like_its_weights(
    weights_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ncnn")
    cli.app(["export", str(weights_file), "-o", str(tmp_path / "p"), "--format", "ncnn"], standalone_mode=False)
    names = [
        f"{name}.{suffix}" for name in ("branch_0", "branch_1", "branch_2", "classifier") for suffix in ("bin", "param")
    ]
    assert capsys.readouterr().out == f"{tmp_path / 'p'}: {', '.join(names)}, manifest.json\n"
    image = torch.rand(3, 37, 45)
    exported, kept = (
        restorer.load(path, device="cpu", runtime=runtime).restore(image)
        for path, runtime in ((tmp_path / "p", "ncnn"), (weights_file, "torch"))
    )
    assert (exported.choice == kept.choice).all()
    torch.testing.assert_close(exported.image, kept.image, rtol=0, atol=AGREES)
    with pytest.raises(WeightsError, match="is a graph of ncnn; use runtime ncnn, or export with --format onnx"):
        package.read(tmp_path / "p", KNOWN).branches[0].onnx()


def test_pytorch_runs_a_classifier_that_cannot_be_exported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("ncnn")
    caplog.set_level("INFO", "lowvision")
    architecture = tiny.architecture().replace(classifier=pick("classifiers", "edge_table"))
    path = tiny.write_weights(tmp_path / "w.safetensors", architecture)
    image = torch.rand(3, 37, 45)
    results = [restorer.load(path, device="cpu", runtime=name).restore(image) for name in ("ncnn", "torch")]
    assert any("the classifier of w.safetensors cannot be exported" in message for message in caplog.messages)
    assert (results[0].choice == results[1].choice).all()
    torch.testing.assert_close(results[0].image, results[1].image, rtol=0, atol=AGREES)
    with pytest.raises(WeightsError, match=r"the classifier of w\.safetensors cannot be exported to ncnn"):
        package.write(path, tmp_path / "p", KNOWN, "ncnn")


def test_weights_are_converted_once_and_cached(weights_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lowvision")
    branch = trained_networks.read(weights_file, KNOWN).branches[0]
    path = branch.ncnn()
    assert path.with_suffix(".bin").stat().st_size > 0
    caplog.clear()
    assert trained_networks.read(weights_file, KNOWN).branches[0].ncnn() == path
    assert caplog.messages == []


def test_a_damaged_file_of_weights_is_refused(weights_file: Path, tmp_path: Path) -> None:
    package.write(weights_file, tmp_path / "p", KNOWN, "ncnn")
    (tmp_path / "p" / "branch_1.bin").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"branch_1\.bin is missing or damaged"):
        package.read(tmp_path / "p", KNOWN)


def test_vulkan_without_a_gpu_names_the_way_out(tmp_path: Path) -> None:
    ncnn = pytest.importorskip("ncnn")
    if ncnn.get_gpu_count():
        pytest.skip("there is a GPU")
    runtime = KNOWN.find("runtimes", "ncnn").component(vulkan=True)
    with pytest.raises(RunError, match="finds no GPU with a Vulkan driver; install one, or leave out"):
        runtime.prepare(Files(tmp_path, nn.Conv2d(3, 3, 1).eval()), 1, "cpu")


def test_a_failed_export_changes_neither_random_numbers_nor_logging(caplog: pytest.LogCaptureFixture) -> None:
    with unnoticed(caplog), pytest.raises(WeightsError, match="cannot be exported to ncnn"):
        ncnn_graph.convert(PixelDependent().eval(), "network", 3, 16, 1)
