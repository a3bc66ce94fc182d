"""Layouts of the files of DISP, SPAN, PlainUSR, RLFN and BSRN, and their networks in plain PyTorch.

Names and shapes are repeated here, and every network is rebuilt from `torch.nn.functional` on the
tensors alone, so that tests share no code with the plugin.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
MEAN = torch.tensor((0.4488, 0.4371, 0.4040)).double().reshape(1, 3, 1, 1)


# The layouts: names and shapes, of random numbers about as large as trained ones.


def conv(name: str, out: int, into: int, side: int, bias: bool = True) -> State:
    state = {f"{name}.weight": torch.randn(out, into, side, side) / (into * side**2) ** 0.5}
    return state | ({f"{name}.bias": 0.1 * torch.randn(out)} if bias else {})


def disp_layout(c: int = 8, blocks: int = 2) -> State:
    state = conv("conv_1.eval_conv", c, 3, 3)
    for b in range(blocks):
        for inner in ("_extern_conv_block.0", "c1_r", "c2_r", "c3_r"):
            state |= conv(f"blocks.{b}.{inner}.eval_conv", c, c, 3)
    return state | conv("conv_2", c, c, 1) | conv("upsampler.0", 48, c, 3)


def conv3xc_layout(name: str, out: int, into: int) -> State:
    state = conv(f"{name}.sk", out, into, 1) | conv(f"{name}.conv.0", 2 * into, into, 1)
    return state | conv(f"{name}.conv.1", 2 * out, 2 * into, 3) | conv(f"{name}.conv.2", out, 2 * out, 1)


def span_names(blocks: int) -> list[str]:
    inner = [f"block_{b + 1}.c{k}_r" for b in range(blocks) for k in (1, 2, 3)]
    return ["conv_1", *inner, "conv_2"]


def span_layout(form: str, c: int = 7, blocks: int = 6) -> State:
    state: State = {}
    for name in span_names(blocks):
        into = 3 if name == "conv_1" else c
        if form != "fused":
            state |= conv3xc_layout(name, c, into)
        if form != "branches":  # of the training form it is out of date
            state |= conv(f"{name}.eval_conv", c, into, 3)
    return state | conv("conv_cat", c, 4 * c, 1) | conv("upsampler.0", 48, c, 3)


def attention_layout(name: str, width: int, hidden: int | None) -> State:
    if hidden is None:
        return conv(f"{name}.0", width, width, 3)
    return (
        conv(f"{name}.0", hidden, width, 1) | conv(f"{name}.2", hidden, hidden, 3) | conv(f"{name}.3", width, hidden, 3)
    )


def plainusr_layout(n: int, inner: tuple[int, ...], convolutions: int, hidden: int | None, colours: int = 3) -> State:
    widths = [n, *inner, *reversed((n, *inner[:-1]))]
    names = [f"block{k + 1}" for k in range(len(widths) - 1)]
    names.insert(len(widths) // 2, "blockm")
    state = conv("head", n + colours, colours, 3)
    for name, width in zip(names, widths, strict=True):
        for k in range(convolutions):
            state |= conv(f"{name}.body.{2 * k}", width, width, 3)
        if hidden is not None or name == "blockm":
            state |= attention_layout(f"{name}.body.{2 * convolutions - 1}.body", width, hidden)
    return state | conv("tail.0", colours * 4, n + colours, 3)


def rlfn_layout(c: int = 6, blocks: int = 3, hidden: int = 4) -> State:
    state = conv("conv_1", c, 3, 3)
    state["conv_1.weight"] /= 255  # so that 0..255 comes out as features of about 1
    for b in range(blocks):
        name = f"block_{b + 1}"
        state |= conv(f"{name}.c1_r", c, c, 3) | conv(f"{name}.c2_r", c, c, 3) | conv(f"{name}.c3_r", c, c, 3)
        state |= conv(f"{name}.c5", c, c, 1) | conv(f"{name}.esa.conv1", hidden, c, 1)
        state |= conv(f"{name}.esa.conv_f", hidden, hidden, 1) | conv(f"{name}.esa.conv2", hidden, hidden, 3)
        state |= conv(f"{name}.esa.conv3", hidden, hidden, 3) | conv(f"{name}.esa.conv4", c, hidden, 1)
    last = {name: 100 * tensor for name, tensor in conv("upsampler.0", 48, c, 3).items()}
    return state | conv("conv_2", c, c, 3) | last


def separable_layout(name: str, out: int, into: int) -> State:
    return conv(f"{name}.pw", out, into, 1, bias=False) | conv(f"{name}.dw", out, 1, 3)


def bsrn_layout(c: int = 32, blocks: int = 3) -> State:
    hidden, few = c // 4, c // 16
    state = separable_layout("fea_conv", c, 12)
    for b in (f"B{k + 1}" for k in range(blocks)):
        for k in (1, 2, 3):
            state |= conv(f"{b}.c{k}_d", c // 2, c, 1) | separable_layout(f"{b}.c{k}_r", c, c)
        state |= separable_layout(f"{b}.c4", c // 2, c) | conv(f"{b}.c5", c, 2 * c, 1)
        state |= conv(f"{b}.esa.conv1", hidden, c, 1) | conv(f"{b}.esa.conv_f", hidden, hidden, 1)
        for name in ("conv_max", "conv2", "conv3", "conv3_"):
            state |= separable_layout(f"{b}.esa.{name}", hidden, hidden)
        state |= conv(f"{b}.esa.conv4", c, hidden, 1)
        state |= conv(f"{b}.cca.conv_du.0", few, c, 1) | conv(f"{b}.cca.conv_du.2", c, few, 1)
    state |= conv("c1", c, blocks * c, 1) | separable_layout("c2", c, c)
    return state | conv("upsampler.upsampleOneStep.0", 48, c, 3)


# The networks, from the tensors alone.


class Plain:
    """Apply layers by their names in a state dict."""

    def __init__(self, state: State):
        self.state = {name: tensor.double() for name, tensor in state.items()}

    def conv(self, name: str, x: Tensor, stride: int = 1, padding: int | None = None, groups: int = 1) -> Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        return F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2 if padding is None else padding, groups=groups)

    def separable(self, name: str, x: Tensor, stride: int = 1, padding: int = 1) -> Tensor:
        x = self.conv(f"{name}.pw", x)
        return self.conv(f"{name}.dw", x, stride, padding, groups=x.shape[1])


def disp(state: State, x: Tensor) -> Tensor:
    net = Plain(state)
    x = first = net.conv("conv_1.eval_conv", x)
    for b in range(2):
        y = x
        for inner in ("c1_r", "c2_r", "_extern_conv_block.0", "c3_r"):
            y = F.silu(net.conv(f"blocks.{b}.{inner}.eval_conv", y))
        x = y + x
    return F.pixel_shuffle(net.conv("upsampler.0", net.conv("conv_2", x) + first), 4)


def span(state: State, x: Tensor, branched: bool = False) -> Tensor:
    net = Plain(state)

    def c(name: str, x: Tensor) -> Tensor:
        if not branched:
            return net.conv(f"{name}.eval_conv", x)
        y = net.conv(f"{name}.conv.0", F.pad(x, (1, 1, 1, 1)))
        return net.conv(f"{name}.conv.2", net.conv(f"{name}.conv.1", y, padding=0)) + net.conv(f"{name}.sk", x)

    x = shallow = c("conv_1", (x - MEAN) * 255)
    outputs = []
    for b in range(1, 7):
        inner = F.silu(c(f"block_{b}.c1_r", x))
        third = c(f"block_{b}.c3_r", F.silu(c(f"block_{b}.c2_r", inner)))
        x = (third + x) * (third.sigmoid() - 0.5)
        outputs.append(x)
    joined = torch.cat([shallow, c("conv_2", x), outputs[0], inner], 1)
    return F.pixel_shuffle(net.conv("upsampler.0", net.conv("conv_cat", joined)), 4)


def plainusr(state: State, x: Tensor) -> Tensor:
    net = Plain(state)
    outer = [f"block{k}" for k in range(1, 5) if f"block{k}.body.0.weight" in state]
    half = len(outer) // 2
    features = net.conv("head", x)
    for name in [*outer[:half], "blockm", *outer[half:]]:
        width = len(state[f"{name}.body.0.weight"])
        features = torch.cat([plainusr_block(net, f"{name}.body", features[:, :width]), features[:, width:]], 1)
    return F.pixel_shuffle(net.conv("tail.0", features), 2)


def plainusr_block(net: Plain, name: str, x: Tensor) -> Tensor:
    convolutions = [n for n in range(0, 9, 2) if f"{name}.{n}.weight" in net.state]
    for n in convolutions:
        x = net.conv(f"{name}.{n}", x if n == 0 else F.leaky_relu(x, 0.05))
    attention = f"{name}.{convolutions[-1] + 1}.body"
    if f"{attention}.2.weight" in net.state:
        y = net.conv(f"{attention}.0", x)
        y = F.avg_pool2d(y.exp() * y, 7, 3) / F.avg_pool2d(y.exp(), 7, 3)
        y = net.conv(f"{attention}.3", net.conv(f"{attention}.2", y, stride=2)).sigmoid()
        return x * x[:, :1].sigmoid() * F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=False)
    if f"{attention}.0.weight" in net.state:
        return x * x[:, :1].sigmoid() * net.conv(f"{attention}.0", x).sigmoid()
    return x


def rlfn(state: State, x: Tensor) -> Tensor:
    net = Plain(state)
    x = shallow = net.conv("conv_1", 255 * x)
    for b in ("block_1", "block_2", "block_3"):
        y = x
        for name in ("c1_r", "c2_r", "c3_r"):
            y = F.leaky_relu(net.conv(f"{b}.{name}", y), 0.05)
        y = net.conv(f"{b}.c5", y + x)
        squeezed = net.conv(f"{b}.esa.conv1", y)
        pooled = F.max_pool2d(net.conv(f"{b}.esa.conv2", squeezed, stride=2, padding=0), 7, 3)
        coarse = F.interpolate(net.conv(f"{b}.esa.conv3", pooled), y.shape[2:], mode="bilinear", align_corners=False)
        x = y * net.conv(f"{b}.esa.conv4", coarse + net.conv(f"{b}.esa.conv_f", squeezed)).sigmoid()
    return F.pixel_shuffle(net.conv("upsampler.0", net.conv("conv_2", x) + shallow), 4) / 255


def bsrn(state: State, x: Tensor) -> Tensor:
    net = Plain(state)
    x = shallow = net.separable("fea_conv", torch.cat([x] * 4, 1))
    outputs = []
    for b in ("B1", "B2", "B3"):
        x = bsrn_block(net, b, x)
        outputs.append(x)
    low = net.separable("c2", F.gelu(net.conv("c1", torch.cat(outputs, 1)))) + shallow
    return F.pixel_shuffle(net.conv("upsampler.upsampleOneStep.0", low), 4)


def bsrn_block(net: Plain, b: str, x: Tensor) -> Tensor:
    rest, parts = x, []
    for k in (1, 2, 3):
        parts.append(F.gelu(net.conv(f"{b}.c{k}_d", rest)))
        rest = F.gelu(net.separable(f"{b}.c{k}_r", rest) + rest)
    y = net.conv(f"{b}.c5", torch.cat([*parts, F.gelu(net.separable(f"{b}.c4", rest))], 1))
    squeezed = net.conv(f"{b}.esa.conv1", y)
    z = F.max_pool2d(net.separable(f"{b}.esa.conv2", squeezed, stride=2, padding=0), 7, 3)
    z = F.gelu(net.separable(f"{b}.esa.conv3", F.gelu(net.separable(f"{b}.esa.conv_max", z))))
    z = F.interpolate(net.separable(f"{b}.esa.conv3_", z), y.shape[2:], mode="bilinear", align_corners=False)
    y = y * net.conv(f"{b}.esa.conv4", z + net.conv(f"{b}.esa.conv_f", squeezed)).sigmoid()
    contrast = y.std((2, 3), correction=0, keepdim=True) + y.mean((2, 3), keepdim=True)
    return x + y * net.conv(f"{b}.cca.conv_du.2", net.conv(f"{b}.cca.conv_du.0", contrast).relu()).sigmoid()
