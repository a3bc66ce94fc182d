"""Files of CARN-M's authors give the same output in our network as in plain PyTorch."""

from __future__ import annotations

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
from lowvision_sr import CARNFile, ClassSR

KNOWN = registry.load()
STEPS = {2: (2,), 3: (3,), 4: (2, 2)}
MEAN = torch.tensor((0.4488, 0.4371, 0.4040))


def layout(nf: int = 8, scales: tuple[int, ...] = (2, 3, 4)) -> State:
    state: State = {}
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        state |= {f"{name}.shifter.weight": torch.eye(3).reshape(3, 3, 1, 1), f"{name}.shifter.bias": sign * MEAN}
    state |= conv("entry", nf, 3, 3) | conv("exit", 3, nf, 3)
    for b in ("b1", "b2", "b3"):
        state |= conv(f"{b}.b1.body.0", nf, nf // 4, 3) | conv(f"{b}.b1.body.2", nf, nf // 4, 3)
        state |= conv(f"{b}.b1.body.4", nf, nf, 1)
    for prefix in ("", "b1.", "b2.", "b3."):
        for k in (1, 2, 3):
            state |= conv(f"{prefix}c{k}.body.0", nf, (k + 1) * nf, 1)
    for scale in scales:
        for n, factor in enumerate(STEPS[scale]):
            state |= conv(f"upsample.up{scale}.body.{3 * n}", nf * factor**2, nf // 4, 3)
    return state


def carn(state: State, x: Tensor, scale: int) -> Tensor:
    net = Plain(state)

    def cascade(prefix: str, x: Tensor, blocks: list[Any]) -> Tensor:
        seen = x
        for k, block in enumerate(blocks, start=1):
            seen = torch.cat([seen, block(x)], 1)
            x = net.conv(f"{prefix}c{k}.body.0", seen).relu()
        return x

    def residual(b: str, x: Tensor) -> Tensor:
        y = net.conv(f"{b}.b1.body.2", net.conv(f"{b}.b1.body.0", x, groups=4).relu(), groups=4).relu()
        return (net.conv(f"{b}.b1.body.4", y) + x).relu()

    def block(b: str) -> Any:
        return lambda x: cascade(f"{b}.", x, [lambda y: residual(b, y)] * 3)

    mean = MEAN.double().reshape(1, 3, 1, 1)
    x = cascade("", net.conv("entry", x - mean), [block(b) for b in ("b1", "b2", "b3")])
    for n, factor in enumerate(STEPS[scale]):
        x = F.pixel_shuffle(net.conv(f"upsample.up{scale}.body.{3 * n}", x, groups=4).relu(), factor)
    return net.conv("exit", x) + mean


def saved(content: Any, folder: Path) -> Path:
    torch.save(content, folder / "carn_m.pth")
    return folder / "carn_m.pth"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_upsampler_of_each_scale_equals_its_tensors_in_plain_pytorch(scale: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = layout()
    external = external_weights.read(saved(state, tmp_path), KNOWN, CARNFile(scale=scale))
    network = external.architecture.build_network().double().eval()
    network.load_state_dict({name: tensor.double() for name, tensor in external.state.items()})
    image = torch.rand(2, 3, 9, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(image), carn(state, image, scale), rtol=1e-5, atol=1e-6)


def test_a_file_of_several_scales_is_reported_with_its_scales_and_a_remedy(tmp_path: Path) -> None:
    path = saved(layout(), tmp_path)
    with pytest.raises(WeightsError, match=r"'carn_file'.* x2, x3, x4; choose one by `lowvision convert --scale`"):
        external_weights.read(path, KNOWN)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_option_scale_selects_one_without_a_format(scale: int, tmp_path: Path) -> None:
    path = saved(layout(), tmp_path)
    picked = external_weights.read(path, KNOWN, scale=scale)
    named = external_weights.read(path, KNOWN, CARNFile(scale=scale))  # type: ignore[arg-type]  # pydantic checks it
    assert (picked.format, picked.architecture) == ("carn_file", named.architecture)
    assert all(torch.equal(tensor, named.state[name]) for name, tensor in picked.state.items())


def test_a_scale_that_the_file_lacks_is_an_error(tmp_path: Path) -> None:
    path = saved(layout(scales=(2, 4)), tmp_path)
    with pytest.raises(WeightsError, match="it holds x2, x4, not x3; choose one of these"):
        external_weights.read(path, KNOWN, scale=3)
    with pytest.raises(WeightsError, match="it holds x2, x4; choose one"):
        external_weights.read(path, KNOWN, scale=5)


def test_a_file_of_one_scale_needs_no_choice(tmp_path: Path) -> None:
    path = saved(layout(scales=(3,)), tmp_path)
    assert external_weights.read(path, KNOWN).architecture.task.scale == 3
    with pytest.raises(WeightsError, match="it holds x3, not x2"):
        external_weights.read(path, KNOWN, CARNFile(scale=2))


def test_the_format_classsr_does_not_recognise_the_file() -> None:
    assert ClassSR().recognise(layout()) is None


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    state = layout()
    del state["entry.bias"]
    with pytest.raises(WeightsError, match=r"entry\.bias"):
        external_weights.read(saved(state, tmp_path), KNOWN, CARNFile(scale=4))
