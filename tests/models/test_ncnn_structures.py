"""Claims about the networks that ncnn's graphs are recognised as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ncnn_writer as ncnn_files
import pytest
import torch
from ncnn_writer import HALF, WHOLE, Writer
from refused_files import refused

from lowvision.models import tensor_files
from lowvision.plugins import registry

KNOWN = registry.load()


NETWORKS: dict[str, Callable[[int], Writer]] = {
    "compact": ncnn_files.compact,
    "rrdb": ncnn_files.rrdb,
    "span": ncnn_files.span,
}


@pytest.mark.parametrize("flag", [WHOLE, HALF])
@pytest.mark.parametrize("network", NETWORKS)
def test_ncnn_tensors_get_the_names_of_pytorch(network: str, flag: int, tmp_path: Path) -> None:
    written = NETWORKS[network](flag)
    state = tensor_files.tensors(written.save(tmp_path))
    state.pop("mean", None)
    assert state.keys() == written.state.keys()
    assert all(torch.equal(state[name].float(), tensor) for name, tensor in written.state.items())


def test_unknown_layers_are_named(tmp_path: Path) -> None:
    written = ncnn_files.compact()
    written.layer("Deconvolution", ["data"], "0=3")
    written.layer("Softmax", ["data"], "")
    refused(written.save(tmp_path), "unsupported layers: Deconvolution, Softmax; give the PyTorch file")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Swish ", "ReLU "),
        ("2=5.000000e-01", "2=4.000000e-01"),
        ("PixelShuffle", "Sigmoid"),
        ("0=1 1=1 2=5", "0=0 1=1 2=5"),
    ],
)
def test_a_graph_that_differs_anywhere_is_refused(old: str, new: str, tmp_path: Path) -> None:
    path = ncnn_files.span().save(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    refused(path, "layers match no supported network: SRVGGNetCompact, RRDBNet, SPAN")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("4=1 5=1", "3=2 4=1 5=1", "convolution with an unsupported stride"),
        ("9=2 -23310", "9=4 -23310", "unsupported activation, 4"),
        ("0=1 -23301", "0=2 -23301", "is not a sum"),
        ("0=1 1=2.0 2=2.0", "0=2 1=2.0 2=2.0", "only nearest neighbours"),
        ("Concat_3 2 1", "Concat_3 0 1", "line 6 is not a layer|match no supported network"),
    ],
)
def test_unsupported_layer_options_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = ncnn_files.rrdb().save(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    refused(path, message)
