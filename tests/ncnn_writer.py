"""Writes small networks as ncnn's tools do: layers as text, numbers as bytes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

State = dict[str, Tensor]
HALF, WHOLE = 0x01306B47, 0


class Writer:
    """Collects layers and their weights; each method returns the name of the blob that its layer outputs."""

    def __init__(self, flag: int = WHOLE) -> None:
        self.flag = flag
        self.lines = ["Input input 0 1 data"]
        self.content = b""
        self.state: State = {}
        """Written tensors by their names in PyTorch."""

    def layer(self, kind: str, inputs: list[str], options: str) -> str:
        name = f"{kind}_{len(self.lines)}"
        self.lines.append(f"{kind:16} {name} {len(inputs)} 1 {' '.join(inputs)} {name}_out {options}")
        return f"{name}_out"

    def numbers(self, tensor: Tensor) -> None:
        self.content += tensor.float().numpy().tobytes()

    def conv(self, name: str, x: str, into: int, out: int, side: int = 3, more: str = "") -> str:
        weight, bias = (torch.randn(out, into, side, side) / 8).half().float(), 0.1 * torch.randn(out)
        self.content += self.flag.to_bytes(4, "little")
        if self.flag == HALF:
            halves = weight.half().numpy().tobytes()
            self.content += halves + bytes(-len(halves) % 4)
        else:
            self.numbers(weight)
        self.numbers(bias)
        self.state |= {f"{name}.weight": weight, f"{name}.bias": bias}
        return self.layer("Convolution", [x], f"0={out} 1={side} 4={side // 2} 5=1 6={weight.numel()} {more}")

    def prelu(self, name: str, x: str, width: int) -> str:
        self.state[f"{name}.weight"] = torch.rand(width)
        self.numbers(self.state[f"{name}.weight"])
        return self.layer("PReLU", [x], f"0={width}")

    def text(self, magic: str = "7767517") -> str:
        return "\n".join([magic, f"{len(self.lines)} {len(self.lines)}", *self.lines]) + "\n"

    def save(self, folder: Path) -> Path:
        (folder / "net.param").write_text(self.text())
        (folder / "net.bin").write_bytes(self.content)
        return folder / "net.param"


def compact(flag: int = WHOLE, width: int = 5, convolutions: int = 2, scale: int = 2) -> Writer:
    """Write SRVGGNetCompact; the odd number of its last weights makes float16 padding necessary."""
    writer = Writer(flag)
    x = writer.prelu("body.1", writer.conv("body.0", "data", 3, width), width)
    for n in range(convolutions):
        x = writer.conv(f"body.{2 * n + 2}", x, width, width)
        x = writer.prelu(f"body.{2 * n + 3}", x, width)
    x = writer.conv(f"body.{2 * convolutions + 2}", x, width, 3 * scale**2)
    x = writer.layer("PixelShuffle", [x], f"0={scale}")
    nearest = writer.layer("Interp", ["data"], f"0=1 1={scale}.0 2={scale}.0")
    writer.layer("BinaryOp", [x, nearest], "0=0")
    return writer


def rrdb(flag: int = WHOLE, width: int = 8, growth: int = 32, blocks: int = 2) -> Writer:
    """Write RRDBNet x4 with activations inside the convolutions, as ncnn's optimiser does."""
    leaky, writer = "9=2 -23310=1,2.000000e-01", Writer(flag)

    def weighed(x: str, y: str) -> str:
        return writer.layer("Eltwise", [x, y], "0=1 -23301=2,2.000000e-01,1.000000e+00")

    x = first = writer.conv("conv_first", "data", 3, width)
    for n in range(blocks):
        block = x
        for part in (1, 2, 3):
            name, seen = f"body.{n}.rdb{part}", [x]
            for k in range(1, 5):
                joined = seen[0] if k == 1 else writer.layer("Concat", seen, "")
                seen.append(writer.conv(f"{name}.conv{k}", joined, width + (k - 1) * growth, growth, more=leaky))
            joined = writer.layer("Concat", seen, "")
            x = weighed(writer.conv(f"{name}.conv5", joined, width + 4 * growth, width), x)
        x = weighed(x, block)
    x = writer.layer("BinaryOp", [first, writer.conv("conv_body", x, width, width)], "0=0")
    for name in ("conv_up1", "conv_up2"):
        x = writer.conv(name, writer.layer("Interp", [x], "0=1 1=2.0 2=2.0"), width, width, more=leaky)
    writer.conv("conv_last", writer.conv("conv_hr", x, width, width, more=leaky), width, 3)
    return writer


def span(flag: int = WHOLE, white: float = 255, mean: tuple[float, ...] = (0.4488, 0.4371, 0.4040)) -> Writer:
    """Write SPAN x2 of six blocks; `white` 1 omits its multiplication."""
    writer, c = Writer(flag), 6
    writer.numbers(torch.tensor(mean))
    writer.lines.append("MemoryData mean 0 1 mean_out 0=1 1=1 2=3")
    x = writer.layer("BinaryOp", ["data", "mean_out"], "0=1")
    if white != 1:
        x = writer.layer("BinaryOp", [x], f"0=2 1=1 2={white:e}")
    x = first = writer.conv("conv_1.eval_conv", x, 3, c)
    outputs = []
    for b in range(1, 7):
        name = f"block_{b}"
        inner = writer.layer("Swish", [writer.conv(f"{name}.c1_r.eval_conv", x, c, c)], "")
        third = writer.layer("Swish", [writer.conv(f"{name}.c2_r.eval_conv", inner, c, c)], "")
        third = writer.conv(f"{name}.c3_r.eval_conv", third, c, c)
        weight = writer.layer("BinaryOp", [writer.layer("Sigmoid", [third], "")], "0=1 1=1 2=5.000000e-01")
        x = writer.layer("BinaryOp", [writer.layer("BinaryOp", [third, x], "0=0"), weight], "0=2")
        outputs.append(x)
    joined = writer.layer("Concat", [first, writer.conv("conv_2.eval_conv", x, c, c), outputs[0], inner], "")
    x = writer.conv("upsampler.0", writer.conv("conv_cat", joined, 4 * c, c, side=1), c, 12)
    writer.layer("PixelShuffle", [x], "0=2")
    return writer
