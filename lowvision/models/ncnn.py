"""Weights in ncnn's format: layers as text in `X.param`, weights in `X.bin`; for SRVGGNetCompact, RRDBNet and SPAN.

Both files are read as data of bounded size; nothing in them is executed. `lowvision/models/ncnn_structures.py` reduces
the layers to the function that they compute, which must equal one of the structures above; the tensors then get their
PyTorch names. Format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lowvision.errors import WeightsError
from lowvision.models.ncnn_structures import CONSTANT, Layer, Unknown, named
from lowvision.system import regular_file

SUFFIX = ".param"
MAGIC = "7767517"
"""First line of the text format; the binary format starts with other bytes."""
LARGEST_TEXT = 8 * 1024**2
"""Maximum size of a .param in bytes; that of RRDBNet, one of the longest, has 116,029."""
MOST_LAYERS = 20_000
MOST_DIGITS = 10
"""Digits of the numbers of layers and blobs; Python refuses to parse thousands of them."""
MOST_NUMBERS = 2**28
"""Maximum number of weights of a layer, far more than a convolution has."""
WHOLE, HALF, INT8, RAW = 0, 0x01306B47, 0x000D4B38, 0x0002C056
"""Flags before a convolution's weights: float32, float16, int8, and float32 of an older version."""
PLAIN = "give the PyTorch file that it was converted from, or one in float16 or float32"
"""Way out for quantised weights."""


def numbers_of(path: Path) -> Path:
    """Return the path of the .bin file of a .param file."""
    return path.with_suffix(".bin")


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of `X.param` and `X.bin` by their PyTorch names, in float32 or float16 as they are stored.

    Raises WeightsError if a file is missing, damaged or quantised, or if the layers match no known structure.
    """
    layers = parse(_text(path), path)
    try:
        structure = named(layers)
    except Unknown as error:
        raise WeightsError(f"{path}: {error}; give the PyTorch file that it was converted from") from None
    reader = _Numbers.of(numbers_of(path))
    tensors = {layer.name: _tensors(layer, reader) for layer in layers if layer.kind in _SIZES}
    reader.finish()
    return structure.tensors(tensors)


def parse(text: str, path: Path) -> list[Layer]:
    """Return the layers of a .param. Raises WeightsError, naming `path`, if it is damaged or of another format."""
    magic, _, rest = text.partition("\n")
    if magic.strip() != MAGIC:
        raise WeightsError(
            f"{path}: starts with '{magic.strip()[:20]}' instead of {MAGIC}, the mark of ncnn's text format; "
            "convert it by ncnn's tool ncnnoptimize, or give the PyTorch file"
        )
    head, *lines = [line.split() for line in rest.splitlines() if line.strip()] or [[]]
    if len(head) != 2 or not all(count.isdecimal() and len(count) <= MOST_DIGITS for count in head):
        raise WeightsError(f"{path}: its second line must be the numbers of layers and blobs; download it again")
    count = int(head[0])
    if count > MOST_LAYERS or count != len(lines):
        raise WeightsError(f"{path}: declares {count} layers and has {len(lines)}; download it again")
    layers = [_layer(fields, number, path) for number, fields in enumerate(lines, start=3)]
    if len({layer.name for layer in layers}) < len(layers):
        raise WeightsError(f"{path}: two of its layers have the same name; convert it again")
    return layers


def _text(path: Path) -> str:
    try:
        regular_file.check(path)
        with path.open("rb") as file:
            content = file.read(LARGEST_TEXT + 1)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_TEXT:
        raise WeightsError(f"{path}: is larger than {LARGEST_TEXT} bytes; give a .param file of ncnn")
    return content.decode("utf-8", errors="replace")


def _layer(fields: list[str], number: int, path: Path) -> Layer:
    """Parse one line: kind, name, counts of inputs and outputs, their names, and options as `key=value`."""
    try:
        kind, name, inputs, outputs, *rest = fields
        into, out = int(inputs), int(outputs)
        blobs, options = rest[: into + out], rest[into + out :]
        if into < 0 or out < 0 or len(blobs) < into + out:
            raise ValueError
        pairs = (option.split("=", 1) for option in options)
        return Layer(kind, name, tuple(blobs[:into]), tuple(blobs[into:]), {int(k): _values(v) for k, v in pairs})
    except ValueError:
        raise WeightsError(f"{path}: line {number} is not a layer: '{' '.join(fields)[:60]}'; copy it again") from None


def _values(text: str) -> tuple[float, ...]:
    values = tuple(float(number) for number in text.split(","))
    if not all(map(math.isfinite, values)):
        raise ValueError
    return values


@dataclass
class _Numbers:
    """Sequential reader of a .bin file."""

    path: Path
    content: memoryview
    position: int = field(default=0)

    @classmethod
    def of(cls, path: Path) -> _Numbers:
        try:
            regular_file.check(path)
            return cls(path, memoryview(bytearray(path.read_bytes())))
        except FileNotFoundError:
            raise WeightsError(f"{path}: no such file; put the .bin with the weights next to its .param") from None
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None

    def take(self, count: int, dtype: torch.dtype, layer: Layer) -> Tensor:
        """Return the next `count` numbers. Raises WeightsError if there are fewer."""
        size = count * dtype.itemsize
        if self.position + size > len(self.content):
            raise WeightsError(
                f"{self.path}: ends after {len(self.content)} bytes, in the middle of layer '{layer.name}'; "
                "download it again, with the .param of the same network"
            )
        numbers = torch.frombuffer(self.content, dtype=dtype, count=count, offset=self.position)
        self.position += -(-size // 4) * 4
        return numbers

    def weights(self, count: int, layer: Layer) -> Tensor:
        """Return the weights of a convolution, which follow a flag. Raises WeightsError if they are quantised."""
        flag = int.from_bytes(self.take(4, torch.uint8, layer).numpy().tobytes(), "little")
        if flag in (WHOLE, RAW):
            return self.take(count, torch.float32, layer)
        if flag == HALF:
            return self.take(count, torch.float16, layer)
        if flag == INT8:
            raise WeightsError(f"{self.path}: layer '{layer.name}' has int8 weights; {PLAIN}")
        raise WeightsError(
            f"{self.path}: layer '{layer.name}' has weights of kind {flag:#010x}, quantised or of another version; "
            f"{PLAIN}"
        )

    def finish(self) -> None:
        """Raise WeightsError if unread bytes remain."""
        if self.position < len(self.content):
            raise WeightsError(
                f"{self.path}: {len(self.content) - self.position} bytes remain after the last layer; "
                "give the .param of the same network"
            )


def _tensors(layer: Layer, numbers: _Numbers) -> dict[str, Tensor]:
    """Read the tensors of a layer; the input channels of a convolution follow from the number of its weights."""
    size = _SIZES[layer.kind](layer)
    if not 0 < size <= MOST_NUMBERS:
        raise WeightsError(f"{numbers.path}: layer '{layer.name}' would have {size} numbers; download the .param again")
    if layer.kind != "Convolution":
        name = CONSTANT if layer.kind == "MemoryData" else "weight"
        return {name: numbers.take(size, torch.float32, layer)}
    if layer.whole(8):
        raise WeightsError(f"{numbers.path}: layer '{layer.name}' has int8 weights; {PLAIN}")
    out, side = layer.whole(0), layer.whole(1)
    if out < 1 or side < 1 or size % (out * side**2):
        raise WeightsError(
            f"{numbers.path}: layer '{layer.name}' has {size} weights for {out} outputs of {side}x{side}"
        )
    tensors = {"weight": numbers.weights(size, layer).reshape(out, -1, side, side)}
    if layer.whole(5):
        tensors["bias"] = numbers.take(out, torch.float32, layer)
    return tensors


def _volume(layer: Layer) -> int:
    """Return the size of a MemoryData layer of up to three dimensions; absent ones are 0."""
    return math.prod(layer.whole(key) or 1 for key in (0, 1, 2))


_SIZES: Mapping[str, Callable[[Layer], int]] = {
    "Convolution": lambda layer: layer.whole(6),
    "PReLU": lambda layer: layer.whole(0),
    "MemoryData": _volume,
}
"""Number of weights of a layer, per kind of layer that has weights."""
