"""Authors' files of IMDN and PAN give the same output in our networks as in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from efficient_layouts import Plain, State, conv
from torch import Tensor

from lowvision.errors import WeightsError
from lowvision.models import external_weights
from lowvision.plugins import registry
from lowvision_light import IMDN, PAN, PANFile

KNOWN = registry.load()


def imdn_layout(nf: int = 16, blocks: int = 3, scale: int = 2) -> State:
    aside, rest, few = nf // 4, nf - nf // 4, nf // 16
    state = conv("fea_conv", nf, 3, 3)
    for b in (f"IMDB{k + 1}" for k in range(blocks)):
        state |= conv(f"{b}.c1", nf, nf, 3) | conv(f"{b}.c2", nf, rest, 3) | conv(f"{b}.c3", nf, rest, 3)
        state |= conv(f"{b}.c4", aside, rest, 3) | conv(f"{b}.c5", nf, nf, 1)
        state |= conv(f"{b}.cca.conv_du.0", few, nf, 1) | conv(f"{b}.cca.conv_du.2", nf, few, 1)
    state |= conv("c.0", nf, blocks * nf, 1) | conv("LR_conv", nf, nf, 3)
    return state | conv("upsampler.0", 3 * scale**2, nf, 3)


def imdn(state: State, x: Tensor, scale: int = 2) -> Tensor:
    net = Plain(state)
    x = shallow = net.conv("fea_conv", x)
    outputs = []
    for b in ("IMDB1", "IMDB2", "IMDB3"):
        rest, parts = x, []
        for k in (1, 2, 3):
            y = F.leaky_relu(net.conv(f"{b}.c{k}", rest), 0.05)
            aside, rest = y[:, : y.shape[1] // 4], y[:, y.shape[1] // 4 :]
            parts.append(aside)
        y = torch.cat([*parts, net.conv(f"{b}.c4", rest)], 1)
        contrast = y.std((2, 3), correction=0, keepdim=True) + y.mean((2, 3), keepdim=True)
        y = y * net.conv(f"{b}.cca.conv_du.2", net.conv(f"{b}.cca.conv_du.0", contrast).relu()).sigmoid()
        x = net.conv(f"{b}.c5", y) + x
        outputs.append(x)
    joined = F.leaky_relu(net.conv("c.0", torch.cat(outputs, 1)), 0.05)
    return F.pixel_shuffle(net.conv("upsampler.0", net.conv("LR_conv", joined) + shallow), scale)


def pan_layout(nf: int = 10, blocks: int = 3, stages: int = 2) -> State:
    half, narrow = nf // 2, nf * 3 // 5
    state = conv("conv_first", nf, 3, 3)
    for b in (f"SCPA_trunk.{k}" for k in range(blocks)):
        state |= conv(f"{b}.conv1_a", half, nf, 1, bias=False) | conv(f"{b}.conv1_b", half, nf, 1, bias=False)
        state |= conv(f"{b}.k1.0", half, half, 3, bias=False) | conv(f"{b}.PAConv.k2", half, half, 1)
        state |= conv(f"{b}.PAConv.k3", half, half, 3, bias=False) | conv(f"{b}.PAConv.k4", half, half, 3, bias=False)
        state |= conv(f"{b}.conv3", nf, nf, 1, bias=False)
    state |= conv("trunk_conv", nf, nf, 3)
    for n in range(1, stages + 1):
        state |= conv(f"upconv{n}", narrow, nf if n == 1 else narrow, 3)
        state |= conv(f"att{n}.conv", narrow, narrow, 1) | conv(f"HRconv{n}", narrow, narrow, 3)
    return state | conv("conv_last", 3, narrow, 3)


def pan(state: State, lq: Tensor, factors: tuple[int, ...]) -> Tensor:
    net = Plain(state)
    x = shallow = net.conv("conv_first", lq)
    for b in ("SCPA_trunk.0", "SCPA_trunk.1", "SCPA_trunk.2"):
        plain = F.leaky_relu(net.conv(f"{b}.k1.0", F.leaky_relu(net.conv(f"{b}.conv1_a", x), 0.2)), 0.2)
        y = F.leaky_relu(net.conv(f"{b}.conv1_b", x), 0.2)
        y = net.conv(f"{b}.PAConv.k4", net.conv(f"{b}.PAConv.k3", y) * net.conv(f"{b}.PAConv.k2", y).sigmoid())
        x = net.conv(f"{b}.conv3", torch.cat([plain, F.leaky_relu(y, 0.2)], 1)) + x
    x = net.conv("trunk_conv", x) + shallow
    for n, factor in enumerate(factors, start=1):
        x = net.conv(f"upconv{n}", F.interpolate(x, scale_factor=factor, mode="nearest"))
        x = F.leaky_relu(x * net.conv(f"att{n}.conv", x).sigmoid(), 0.2)
        x = F.leaky_relu(net.conv(f"HRconv{n}", x), 0.2)
    enlarged = F.interpolate(lq, x.shape[2:], mode="bilinear", align_corners=False)
    return net.conv("conv_last", x) + enlarged


def saved(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "theirs.pth")
    return folder / "theirs.pth"


CASES: dict[str, tuple[Callable[[], State], Callable[[State, Tensor], Tensor], Any, Any]] = {
    "imdn x2": (imdn_layout, imdn, None, IMDN(channels=16, layers=3)),
    "imdn x3": (
        lambda: imdn_layout(nf=32, scale=3),
        lambda s, x: imdn(s, x, 3),
        None,
        IMDN(channels=32, layers=3),
    ),
    "pan x4": (pan_layout, lambda s, x: pan(s, x, (2, 2)), None, PAN(channels=10, layers=3)),
    "pan x3": (
        lambda: pan_layout(stages=1),
        lambda s, x: pan(s, x, (3,)),
        PANFile(scale=3),
        PAN(channels=10, layers=3),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_network_read_from_a_file_equals_its_tensors_in_plain_pytorch(case: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layout, compute, chosen, backbone = CASES[case]
    state = layout()
    external = external_weights.read(saved({"params": state}, tmp_path), KNOWN, chosen)
    assert external.architecture.branches == (backbone,)
    network = external.architecture.build_network().double().eval()
    network.load_state_dict({name: tensor.double() for name, tensor in external.state.items()})
    image = torch.rand(2, 3, 9, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(image), compute(state, image), rtol=1e-4, atol=1e-5)


def test_a_pan_of_one_stage_needs_its_scale(tmp_path: Path) -> None:
    path = saved(pan_layout(stages=1), tmp_path)
    with pytest.raises(WeightsError, match=r"2 or 3.* do not determine; pass e\.g\. --format 'pan_file: \{scale: 2\}'"):
        external_weights.read(path, KNOWN)
    with pytest.raises(WeightsError, match="its scale is 2 or 3"):
        external_weights.read(path, KNOWN, PANFile(scale=4))


def test_a_pan_of_two_stages_supports_scale_4_only(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="its scale is 4, not 2; leave"):
        external_weights.read(saved(pan_layout(), tmp_path), KNOWN, PANFile(scale=2))


@pytest.mark.parametrize(("layout", "lost"), [(imdn_layout, "IMDB2.c5.bias"), (imdn_layout, "c.0.weight")])
def test_a_missing_tensor_is_named(layout: Callable[[], State], lost: str, tmp_path: Path) -> None:
    state = layout()
    del state[lost]
    with pytest.raises(WeightsError, match="missing"):
        external_weights.read(saved(state, tmp_path), KNOWN)


def test_files_of_other_formats_are_not_recognised() -> None:
    for name in ("imdn_file", "pan_file"):
        assert KNOWN.find("formats", name).component().recognise({"conv_first.weight": torch.zeros(8, 3, 3, 3)}) is None
