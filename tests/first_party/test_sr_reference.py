"""Files in the layout of the ClassSR authors' code give the same output in our networks as in plain PyTorch.

The layout (names and shapes) is repeated here, and every network is rebuilt from
`torch.nn.functional` on the tensors alone, so that the test shares no code with the plugin.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lowvision.errors import WeightsError
from lowvision.models import external_weights, weights
from lowvision.plugins import registry

KNOWN = registry.load()
State = dict[str, Tensor]
MEAN = torch.tensor((0.4488, 0.4371, 0.4040))


# The layout: names and shapes, of random numbers about as large as trained ones.


def conv(name: str, out: int, into: int, side: int, bias: bool = True) -> State:
    state = {f"{name}.weight": torch.randn(out, into, side, side) * (2 / (into * side**2)) ** 0.5}
    return state | ({f"{name}.bias": 0.1 * torch.randn(out)} if bias else {})


def shifts(white: float = 1) -> State:
    """Return both mean shifts as after training: near the mean colour and the identity."""
    state: State = {}
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        state[f"{name}.weight"] = (torch.eye(3) + 0.05 * torch.randn(3, 3)).reshape(3, 3, 1, 1)
        state[f"{name}.bias"] = white * (sign * MEAN + 0.05 * torch.randn(3))
    return state


def fsrcnn_layout(d: int = 56, s: int = 12, m: int = 4) -> State:
    slope = partial(torch.full, (1,), 0.2)
    state = conv("head_conv.0", d, 3, 5) | {"head_conv.1.weight": slope()}
    state |= conv("body_conv.0.0", s, d, 1) | {"body_conv.0.1.weight": slope()}
    for k in range(m):
        state |= conv(f"body_conv.{k + 1}", s, s, 3)
    state |= {f"body_conv.{m + 1}.weight": slope()}
    state |= conv(f"body_conv.{m + 2}.0", d, s, 1) | {f"body_conv.{m + 2}.1.weight": slope()}
    return state | {"tail_conv.weight": 0.05 * torch.randn(d, 3, 9, 9), "tail_conv.bias": 0.1 * torch.randn(3)}


def fusion_layout(name: str, parts: int, nf: int) -> State:
    norm = f"{name}.1"
    return conv(f"{name}.0", nf, parts * nf, 1, bias=False) | {
        f"{norm}.weight": 1 + 0.1 * torch.randn(nf),
        f"{norm}.bias": 0.1 * torch.randn(nf),
        f"{norm}.running_mean": 0.1 * torch.randn(nf),
        f"{norm}.running_var": 0.5 + torch.rand(nf),
        f"{norm}.num_batches_tracked": torch.tensor(7),
    }


def carn_layout(nf: int = 64, scale: int = 4) -> State:
    state = shifts() | conv("entry", nf, 3, 3)
    for b in ("b1", "b2", "b3"):
        state |= conv(f"{b}.b1.body.0", nf, nf // 4, 3) | conv(f"{b}.b1.body.2", nf, nf // 4, 3)
        state |= conv(f"{b}.b1.body.4", nf, nf, 1)
        for k in (1, 2, 3):
            state |= fusion_layout(f"{b}.c{k}", k + 1, nf)
    for k in (1, 2, 3):
        state |= fusion_layout(f"c{k}", k + 1, nf)
    for n, factor in {2: [(0, 2)], 3: [(0, 3)], 4: [(0, 2), (3, 2)]}[scale]:
        state |= conv(f"upsample.up.body.{n}", nf * factor**2, nf // 4, 3)
    return state | conv("exit", 3, nf, 3)


def srresnet_layout(nf: int = 8, nb: int = 3, scale: int = 4) -> State:
    state = conv("conv_first", nf, 3, 3)
    for k in range(nb):
        state |= conv(f"recon_trunk.{k}.conv1", nf, nf, 3) | conv(f"recon_trunk.{k}.conv2", nf, nf, 3)
    state |= conv("upconv1", nf * {2: 4, 3: 9, 4: 4}[scale], nf, 3)
    if scale == 4:
        state |= conv("upconv2", nf * 4, nf, 3)
    return state | conv("HRconv", nf, nf, 3) | conv("conv_last", 3, nf, 3)


def rcan_layout(nf: int = 32, groups: int = 2, blocks: int = 2, scale: int = 4, white: float = 1) -> State:
    state = shifts(white) | conv("head.0", nf, 3, 3)
    state = state | {"head.0.weight": state["head.0.weight"] / 255}  # so that 0..255 comes out as features of about 1
    for g in range(groups):
        for b in range(blocks):
            name = f"body.{g}.body.{b}.body"
            state |= conv(f"{name}.0", nf, nf, 3) | conv(f"{name}.2", nf, nf, 3)
            state |= conv(f"{name}.3.conv_du.0", nf // 16, nf, 1) | conv(f"{name}.3.conv_du.2", nf, nf // 16, 1)
        state |= conv(f"body.{g}.body.{blocks}", nf, nf, 3)
    state |= conv(f"body.{groups}", nf, nf, 3)
    for n, factor in {2: [(0, 2)], 3: [(0, 3)], 4: [(0, 2), (2, 2)]}[scale]:
        state |= conv(f"tail.0.{n}", nf * factor**2, nf, 3)
    last = conv("tail.1", 3, nf, 3)
    return state | {name: 50 * tensor for name, tensor in last.items()}


def classifier_layout(classes: int = 3) -> State:
    state = conv("CondNet.0", 128, 3, 4)
    for n in (2, 4, 6):
        state |= conv(f"CondNet.{n}", 128, 128, 1)
    state |= conv("CondNet.8", 32, 128, 1)
    return state | {"lastOut.weight": torch.randn(classes, 32), "lastOut.bias": torch.randn(classes)}


def container_layout(branches: list[State]) -> State:
    parts = {"classifier": classifier_layout(len(branches))}
    parts |= {f"net{k + 1}": branch for k, branch in enumerate(branches)}
    return {f"{name}.{inner}": tensor for name, part in parts.items() for inner, tensor in part.items()}


# The networks, from the tensors alone.


class Plain:
    """Apply layers by their names in a state dict."""

    def __init__(self, state: State):
        self.state = {name: tensor.double() for name, tensor in state.items()}

    def conv(self, name: str, x: Tensor, groups: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return F.conv2d(x, weight, self.state.get(f"{name}.bias"), padding=weight.shape[-1] // 2, groups=groups)

    def prelu(self, name: str, x: Tensor) -> Tensor:
        return F.prelu(x, self.state[f"{name}.weight"])

    def norm(self, name: str, x: Tensor) -> Tensor:
        mean, variance = self.state[f"{name}.running_mean"], self.state[f"{name}.running_var"]
        return F.batch_norm(x, mean, variance, self.state[f"{name}.weight"], self.state[f"{name}.bias"])


def fsrcnn(state: State, x: Tensor, scale: int = 4) -> Tensor:
    net = Plain(state)
    x = net.prelu("head_conv.1", net.conv("head_conv.0", x))
    x = net.prelu("body_conv.0.1", net.conv("body_conv.0.0", x))
    m = sum(name.startswith("body_conv") and name.endswith("bias") for name in state) - 2
    for k in range(m):
        x = net.conv(f"body_conv.{k + 1}", x)
    x = net.prelu(f"body_conv.{m + 1}", x)
    x = net.prelu(f"body_conv.{m + 2}.1", net.conv(f"body_conv.{m + 2}.0", x))
    padding, more = {2: (4, 1), 3: (3, 0), 4: (3, 1)}[scale]
    weight, bias = net.state["tail_conv.weight"], net.state["tail_conv.bias"]
    return F.conv_transpose2d(x, weight, bias, stride=scale, padding=padding, output_padding=more)


def carn(state: State, x: Tensor) -> Tensor:
    net = Plain(state)

    def fused(name: str, x: Tensor) -> Tensor:
        return F.relu(net.norm(f"{name}.1", net.conv(f"{name}.0", x)))

    def residual(name: str, x: Tensor) -> Tensor:
        y = F.relu(net.conv(f"{name}.0", x, groups=4))
        y = F.relu(net.conv(f"{name}.2", y, groups=4))
        return F.relu(net.conv(f"{name}.4", y) + x)

    def block(name: str, x: Tensor) -> Tensor:
        seen = x
        for k in (1, 2, 3):
            seen = torch.cat([seen, residual(f"{name}.b1.body", x)], dim=1)
            x = fused(f"{name}.c{k}", seen)
        return x

    x = net.conv("entry", net.conv("sub_mean", x))
    seen = x
    for k in (1, 2, 3):
        seen = torch.cat([seen, block(f"b{k}", x)], dim=1)
        x = fused(f"c{k}", seen)
    for n in (0, 3):
        if f"upsample.up.body.{n}.weight" in state:
            y = F.relu(net.conv(f"upsample.up.body.{n}", x, groups=4))
            x = F.pixel_shuffle(y, round((y.shape[1] / x.shape[1]) ** 0.5))
    return net.conv("add_mean", net.conv("exit", x))


def srresnet(state: State, x: Tensor, scale: int = 4) -> Tensor:
    net = Plain(state)
    y = F.leaky_relu(net.conv("conv_first", x), 0.1)
    for k in range(sum(name.endswith("conv1.weight") for name in state if name.startswith("recon"))):
        y = y + net.conv(f"recon_trunk.{k}.conv2", F.relu(net.conv(f"recon_trunk.{k}.conv1", y)))
    for name in ("upconv1", "upconv2"):
        if f"{name}.weight" in state:
            y = F.leaky_relu(F.pixel_shuffle(net.conv(name, y), 3 if scale == 3 else 2), 0.1)
    y = net.conv("conv_last", F.leaky_relu(net.conv("HRconv", y), 0.1))
    return y + F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def rcan(state: State, x: Tensor, white: float = 255) -> Tensor:
    """Apply RCAN to an image in [0,1]; `white` is the pixel range of its weights."""
    net = Plain(state)
    groups = max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    blocks = max(int(name.split(".")[3]) for name in state if name.startswith("body.0.body."))
    x = net.conv("head.0", net.conv("sub_mean", white * x))
    y = x
    for g in range(groups):
        start = y
        for b in range(blocks):
            name = f"body.{g}.body.{b}.body"
            z = net.conv(f"{name}.2", F.relu(net.conv(f"{name}.0", y)))
            hidden = F.relu(net.conv(f"{name}.3.conv_du.0", z.mean(dim=(2, 3), keepdim=True)))
            y = y + z * torch.sigmoid(net.conv(f"{name}.3.conv_du.2", hidden))
        y = start + net.conv(f"body.{g}.body.{blocks}", y)
    y = x + net.conv(f"body.{groups}", y)
    for n in (0, 2):
        if f"tail.0.{n}.weight" in state:
            y = net.conv(f"tail.0.{n}", y)
            y = F.pixel_shuffle(y, 3 if y.shape[1] == 9 * x.shape[1] else 2)
    return net.conv("add_mean", net.conv("tail.1", y)) / white


def logits(state: State, x: Tensor) -> Tensor:
    net = Plain(state)
    x = F.conv2d(x, net.state["CondNet.0.weight"], net.state["CondNet.0.bias"], stride=4)
    for n in (2, 4, 6, 8):
        x = net.conv(f"CondNet.{n}", F.leaky_relu(x, 0.1))
    x = F.avg_pool2d(x, x.shape[2]).flatten(1)
    return F.linear(x, net.state["lastOut.weight"], net.state["lastOut.bias"])


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def ours(state: State, folder: Any, **options: Any) -> torch.nn.Module:
    """Read a file with these tensors, and return our network in float64."""
    torch.save(state, folder / "theirs.pth")
    chosen = KNOWN.find("formats", "classsr").component(**options)
    external = external_weights.read(folder / "theirs.pth", KNOWN, chosen)
    architecture = external.architecture
    network = architecture.build_network() if architecture.classifier is None else architecture.build_container()
    network.load_state_dict(external.state, strict=False)
    return network.double().eval()


def close(a: Tensor, b: Tensor, largest: float = 2e-6) -> bool:
    """Return True if images are equal up to float32 rounding of the weights."""
    assert a.shape == b.shape
    return bool((a - b).abs().max() <= largest * b.abs().max())


IMAGE = torch.rand(2, 3, 9, 10, dtype=torch.double, generator=torch.Generator().manual_seed(1))

EVERY = [
    ("fsrcnn", fsrcnn_layout, fsrcnn),
    ("fsrcnn-16", partial(fsrcnn_layout, 16), fsrcnn),
    ("fsrcnn-m2-s6", partial(fsrcnn_layout, 8, 6, 2), fsrcnn),
    ("carn", carn_layout, carn),
    ("carn-36", partial(carn_layout, 36), carn),
    ("carn-x2", partial(carn_layout, 8, 2), carn),
    ("carn-x3", partial(carn_layout, 8, 3), carn),
    ("srresnet", srresnet_layout, srresnet),
    ("srresnet-x2", partial(srresnet_layout, scale=2), partial(srresnet, scale=2)),
    ("srresnet-x3", partial(srresnet_layout, scale=3), partial(srresnet, scale=3)),
    ("rcan", rcan_layout, rcan),
    ("rcan-36", partial(rcan_layout, 36, 1, 1), rcan),
    ("rcan-x2", partial(rcan_layout, 16, 1, 2, scale=2), rcan),
    ("rcan-x3", partial(rcan_layout, 16, 1, 2, scale=3), rcan),
    ("rcan-of-its-own-authors", partial(rcan_layout, white=255), rcan),
]


@pytest.mark.parametrize(("layout", "network"), [case[1:] for case in EVERY], ids=[case[0] for case in EVERY])
def test_a_network_equals_its_tensors_in_plain_pytorch(
    layout: Callable[[], State], network: Callable[[State, Tensor], Tensor], tmp_path
) -> None:
    state = layout()
    with torch.no_grad():
        assert close(ours(state, tmp_path)(IMAGE), network(state, IMAGE))


CONTAINERS = [
    ("fsrcnn", [partial(fsrcnn_layout, d) for d in (16, 36, 56)], fsrcnn),
    ("carn", [partial(carn_layout, nf) for nf in (36, 52, 64)], carn),
    ("srresnet", [partial(srresnet_layout, nf, 1) for nf in (4, 6)], srresnet),
    ("rcan", [partial(rcan_layout, nf, 1, 1) for nf in (16, 18, 32)], rcan),
]


@pytest.mark.parametrize(("layouts", "network"), [case[1:] for case in CONTAINERS], ids=[c[0] for c in CONTAINERS])
def test_a_container_classifies_and_restores_as_in_plain_pytorch(
    layouts: list[Callable[[], State]], network: Callable[[State, Tensor], Tensor], tmp_path
) -> None:
    branches = [layout() for layout in layouts]
    state = container_layout(branches)
    classifier = {name.removeprefix("classifier."): tensor for name, tensor in state.items() if "classifier" in name}
    tiles = torch.rand(2, 3, 16, 16, dtype=torch.double)
    restored = ours(state, tmp_path)
    with torch.no_grad():
        image, _ = restored(tiles)
        expected = logits(classifier, tiles)
        assert close(restored.classify(tiles), expected)
        outputs = torch.stack([network(branch, tiles) for branch in branches], dim=1)  # (B, M, 3, sh, sw)
        assert close(image, torch.einsum("bm,bmchw->bchw", expected.softmax(dim=1), outputs))
        for k in range(len(branches)):
            assert close(restored.restore(tiles, torch.full((2,), k)), outputs[:, k])


@pytest.mark.parametrize(
    ("layouts", "published"),
    [
        ([partial(fsrcnn_layout, d) for d in (16, 36, 56)], 112_940),
        ([partial(carn_layout, nf) for nf in (36, 52, 64)], 645_476),
    ],
    ids=["fsrcnn", "carn"],
)
def test_containers_have_the_published_parameter_counts(layouts: list[Callable[[], State]], published: int) -> None:
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    state = container_layout([layout() for layout in layouts])
    assert sum(tensor.numel() for name, tensor in state.items() if not name.endswith(statistics)) == published


def test_the_options_of_a_network_are_inferred_from_its_tensors(tmp_path) -> None:
    (backbone,) = weights.read_header(saved(rcan_layout(50, 2, 3), tmp_path), KNOWN).architecture.branches
    assert backbone.model_dump(exclude={"mean"}) == {
        "channels": 50,
        "layers": 2,
        "blocks": 3,
        "reduction": 16,
        "skip": "none",
    }


def saved(state: Any, folder: Any) -> Any:
    path = folder / "theirs.pth"
    torch.save(state, path)
    return path


def test_an_untrained_shift_is_read_as_the_mean_colour(tmp_path) -> None:
    state = carn_layout(8)
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        state |= {f"{name}.weight": torch.eye(3).reshape(3, 3, 1, 1), f"{name}.bias": sign * MEAN}
    external = external_weights.read(saved(state, tmp_path), KNOWN)
    (backbone,) = external.architecture.branches
    assert backbone == KNOWN.find("backbones", "carn").component(channels=8, batch_norm=True)
    assert torch.equal(external.state["entry.weight"], state["entry.weight"])
    assert torch.equal(external.state["exit.weight"], state["exit.weight"])
    assert torch.equal(external.state["exit.bias"], state["exit.bias"])


def test_a_shift_that_drops_a_colour_is_refused(tmp_path) -> None:
    state = carn_layout(8) | {"sub_mean.weight": torch.ones(3, 3, 1, 1)}
    with pytest.raises(WeightsError, match="sub_mean is singular: it mixes the colours"):
        external_weights.read(saved(state, tmp_path), KNOWN)


def test_an_rcan_of_another_pixel_range_is_read_by_option_white(tmp_path) -> None:
    state = rcan_layout(16, 1, 1)
    with torch.no_grad():
        assert close(ours(state, tmp_path, white=1.0)(IMAGE), rcan(state, IMAGE, white=1))


def test_an_fsrcnn_gets_its_scale_by_an_option(tmp_path) -> None:
    state = fsrcnn_layout(8, 4, 1)
    for scale in (2, 3, 4):
        with torch.no_grad():
            assert close(ours(state, tmp_path, scale=scale)(IMAGE), fsrcnn(state, IMAGE, scale))


@pytest.mark.parametrize("name", ["body_conv.0.0.weight", "body_conv.2.bias", "head_conv.1.weight", "tail_conv.bias"])
def test_a_missing_tensor_is_named_as_in_the_file(name: str, tmp_path) -> None:
    state = fsrcnn_layout()
    del state[name]
    with pytest.raises(WeightsError, match=rf"'classsr'.*{name}"):
        external_weights.read(saved(state, tmp_path), KNOWN)


def test_surplus_and_misshapen_tensors_are_named_as_in_the_file(tmp_path) -> None:
    branches = [fsrcnn_layout(8), fsrcnn_layout(12)]
    state = container_layout(branches) | {"net2.extra.weight": torch.zeros(1), "net1.tail_conv.bias": torch.zeros(1)}
    with pytest.raises(WeightsError) as error:
        external_weights.read(saved(state, tmp_path), KNOWN)
    assert "net1.tail_conv.bias (1,) instead of (3,)" in str(error.value)
    with pytest.raises(WeightsError, match=r"1 unexpected: net2\.extra\.weight"):
        external_weights.read(saved(state | {"net1.tail_conv.bias": torch.zeros(3)}, tmp_path), KNOWN)


def test_branches_of_several_scales_are_refused(tmp_path) -> None:
    state = container_layout([carn_layout(8, 2), carn_layout(8, 4)])
    with pytest.raises(WeightsError, match="its branches have different scales: 2 and 4"):
        external_weights.read(saved(state, tmp_path), KNOWN)


def test_files_of_other_formats_are_not_recognised() -> None:
    theirs = KNOWN.find("formats", "classsr").component()
    assert theirs.recognise({"conv_first.weight": torch.zeros(8, 3, 3, 3)}) is None
    assert theirs.recognise({"classifier.weight": torch.zeros(10, 8), "features.0.weight": torch.zeros(8, 3)}) is None
