"""KAIR's files of DnCNN give the same output in our network as in plain PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from efficient_layouts import Plain, State, conv
from torch import Tensor

from lowvision.models import external_weights
from lowvision.plugins import registry
from lowvision_denoise import Denoising, DnCNN, DnCNNFile

KNOWN = registry.load()


def layout(layers: int = 9, colours: int = 1, reads: int | None = None) -> State:
    widths = [reads or colours, *[4] * (layers - 1), colours]
    state: State = {}
    for k in range(layers):
        state |= conv(f"model.{2 * k}", widths[k + 1], widths[k], 3)
    return state


def dncnn(state: State, x: Tensor, layers: int = 9) -> Tensor:
    net, y = Plain(state), x
    for k in range(layers):
        y = net.conv(f"model.{2 * k}", y if k == 0 else y.relu())
    return x - y


@pytest.mark.parametrize("colours", [1, 3])
def test_a_network_read_from_a_file_equals_its_tensors_in_plain_pytorch(colours: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = layout(colours=colours)
    torch.save(state, tmp_path / "dncnn.pth")
    external = external_weights.read(tmp_path / "dncnn.pth", KNOWN)
    assert external.format == "dncnn_file"
    assert external.architecture.task == Denoising(sigma=25, channels=colours)  # type: ignore[arg-type]  # 1 or 3
    assert external.architecture.branches == (DnCNN(channels=4, layers=9),)
    network = external.architecture.build_network().double().eval()
    network.load_state_dict({name: tensor.double() for name, tensor in external.state.items()})
    image = torch.rand(2, colours, 9, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(image), dncnn(state, image))


def test_the_noise_is_an_option() -> None:
    recognised = DnCNNFile(sigma=(0.0, 55.0)).recognise(layout())
    assert recognised is not None
    assert recognised.task == Denoising(sigma=(0.0, 55.0), channels=1)


@pytest.mark.parametrize(
    "state",
    [layout(layers=7), layout(colours=3, reads=4), layout() | {"model.3.running_mean": torch.zeros(4)}],
    ids=["as many layers as IRCNN", "reads a map of the noise", "keeps BatchNorm"],
)
def test_files_of_other_formats_are_not_recognised(state: State) -> None:
    assert DnCNNFile().recognise(state) is None
