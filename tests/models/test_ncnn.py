"""Claims about ncnn's files: which networks are read, with which names, and that all other content is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import ncnn_writer as ncnn_files
import pytest
import torch
from efficient_layouts import MEAN, Plain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ncnn_writer import HALF, WHOLE, Writer
from refused_files import refused
from torch import Tensor
from torch.nn import functional

from lowvision.errors import WeightsError
from lowvision.inference import trained_networks as trained
from lowvision.models import ncnn, tensor_files, weights
from lowvision.plugins import registry
from lowvision_efficient import SPAN

KNOWN = registry.load()
NETWORKS: dict[str, Callable[[int], Writer]] = {
    "compact": ncnn_files.compact,
    "rrdb": ncnn_files.rrdb,
    "span": ncnn_files.span,
}


@pytest.mark.parametrize(
    ("network", "format_name", "scale"), [("compact", "spandrel", 2), ("rrdb", "spandrel", 4), ("span", "span_file", 2)]
)
def test_formats_recognise_the_networks(network: str, format_name: str, scale: int, tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    path = NETWORKS[network](HALF).save(tmp_path)
    header = weights.read_header(path, KNOWN)
    assert weights.is_foreign(path)
    assert header.provenance.origin == f"net.param ({format_name})"
    network_read = weights.load_network(path, header.architecture, KNOWN).eval()
    with torch.no_grad():
        assert network_read(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16 * scale, 16 * scale)


def compact(state: dict[str, Tensor], x: Tensor) -> Tensor:
    net, y = Plain(state), x
    for n in range(7):
        name = f"body.{n}"
        y = functional.prelu(y, net.state[f"{name}.weight"]) if n % 2 else net.conv(name, y)
    return functional.pixel_shuffle(y, 2) + functional.interpolate(x, scale_factor=2, mode="nearest")


def test_a_compact_network_equals_its_layers_in_plain_pytorch(tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    written = ncnn_files.compact(HALF)
    path = written.save(tmp_path)
    network = weights.load_network(path, weights.read_header(path, KNOWN).architecture, KNOWN).double()
    image = torch.rand(1, 3, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(image), compact(written.state, image))


def span(state: dict[str, Tensor], x: Tensor, mean: Tensor = MEAN, white: float = 255) -> Tensor:
    net = Plain(state)
    x = shallow = net.conv("conv_1.eval_conv", (x - mean) * white)
    outputs = []
    for b in range(1, 7):
        inner = functional.silu(net.conv(f"block_{b}.c1_r.eval_conv", x))
        third = net.conv(f"block_{b}.c2_r.eval_conv", inner)
        third = net.conv(f"block_{b}.c3_r.eval_conv", functional.silu(third))
        x = (third + x) * (third.sigmoid() - 0.5)
        outputs.append(x)
    joined = torch.cat([shallow, net.conv("conv_2.eval_conv", x), outputs[0], inner], 1)
    return functional.pixel_shuffle(net.conv("upsampler.0", net.conv("conv_cat", joined)), 2)


@pytest.mark.parametrize(("white", "mean"), [(255, (0.4488, 0.4371, 0.4040)), (1, (0.485, 0.456, 0.406))])
def test_span_of_either_range_and_any_mean_equals_its_layers_in_plain_pytorch(
    white: float, mean: tuple[float, float, float], tmp_path: Path
) -> None:
    written = ncnn_files.span(WHOLE, white, mean)
    path = written.save(tmp_path)
    (backbone,) = weights.read_header(path, KNOWN).architecture.branches
    assert isinstance(backbone, SPAN)
    assert backbone.mean == pytest.approx(mean)
    network = weights.load_network(path, weights.read_header(path, KNOWN).architecture, KNOWN).double()
    image = torch.rand(1, 3, 7, 6, dtype=torch.float64)
    expected = span(written.state, image, torch.tensor(mean).double().reshape(1, 3, 1, 1), white)
    with torch.no_grad():
        torch.testing.assert_close(network(image), expected, rtol=1e-3, atol=1e-5 * expected.abs().max().item())


def test_the_network_identity_depends_on_the_weights(tmp_path: Path) -> None:
    path = ncnn_files.span().save(tmp_path)
    before = trained.read(path, KNOWN).identity
    numbers = bytearray((tmp_path / "net.bin").read_bytes())
    numbers[100] ^= 1
    (tmp_path / "net.bin").write_bytes(numbers)
    assert trained.read(path, KNOWN).identity != before


# Refused files


@pytest.mark.parametrize("magic", ["7767518", "ply", "", "\x00\x01"])
def test_another_magic_is_refused(magic: str, tmp_path: Path) -> None:
    path = ncnn_files.compact().save(tmp_path)
    path.write_text(ncnn_files.compact().text(magic))
    refused(path, "instead of 7767517")


@pytest.mark.parametrize(
    "content", ["7767517", "7767517\nx y\n", f"7767517\n{'9' * 5000} 1\n", "7767517\n3 3\nInput a 0 1 data\n"]
)
def test_truncated_text_is_refused(content: str, tmp_path: Path) -> None:
    path = ncnn_files.compact().save(tmp_path)
    path.write_text(content)
    refused(path, r"numbers of layers and blobs|declares 3 layers and has 1")


@pytest.mark.parametrize(
    "line", ["Convolution a", "Split a x 1 b c", "Split a 9 1 b c", "PReLU a 1 1 b c 0=inf", "R a 1 1 b c d"]
)
def test_a_line_that_is_not_a_layer_is_refused(line: str, tmp_path: Path) -> None:
    path = ncnn_files.compact().save(tmp_path)
    path.write_text(f"7767517\n1 1\n{line}\n")
    refused(path, "line 3 is not a layer")


def test_truncated_or_surplus_weights_are_refused(tmp_path: Path) -> None:
    path = ncnn_files.compact(HALF).save(tmp_path)
    numbers = (tmp_path / "net.bin").read_bytes()
    (tmp_path / "net.bin").write_bytes(numbers[:-3])
    refused(path, "in the middle of layer 'Convolution_7'; download it again")
    (tmp_path / "net.bin").write_bytes(numbers + b"\0\0\0\0")
    refused(path, "4 bytes remain after the last layer")
    (tmp_path / "net.bin").unlink()
    refused(path, r"no such file; put the \.bin")


def test_a_layer_of_absurd_size_is_refused_before_allocation(tmp_path: Path) -> None:
    path = ncnn_files.compact().save(tmp_path)
    for size in ("999999999999", "-4", "0"):
        path.write_text(re.sub(r"6=\d+", f"6={size}", ncnn_files.compact().text()))
        refused(path, f"would have {size} numbers")


def test_int8_and_other_weight_types_are_refused(tmp_path: Path) -> None:
    refused(ncnn_files.compact(0x000D4B38).save(tmp_path), "has int8 weights; give the PyTorch file")
    refused(
        ncnn_files.compact(0x12345678).save(tmp_path), "weights of kind 0x12345678, quantised or of another version"
    )
    path = ncnn_files.compact().save(tmp_path)
    path.write_text(path.read_text().replace("5=1 ", "5=1 8=2 ", 1))
    refused(path, "has int8 weights")


def test_a_missing_param_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"net\.param: no such file"):
        tensor_files.tensors(tmp_path / "net.param")


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_anywhere_is_a_weights_error_or_another_network(data: st.DataObject, tmp_path: Path) -> None:
    path = ncnn_files.span().save(tmp_path)
    text = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(text)
    with suppress(WeightsError):
        assert all(isinstance(tensor, Tensor) for tensor in ncnn.read(path).values())
