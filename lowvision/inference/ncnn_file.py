"""Write ncnn's format: layers as text, weights as bytes; the counterpart of the reader `lowvision/models/ncnn.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor

MAGIC = 7767517
INPUT, OUTPUT = "lq", "output"
"""Names of the blobs, as in exported ONNX graphs."""
FLOAT32 = bytes(4)
"""Flag before the weights of a layer that may also store them in another number format."""
ACTIVATION = 9, 10
"""Keys of a convolution's activation: its kind and its parameters."""
LIST = -23300
"""A list of key k is stored under the key LIST - k, with its length first."""
RELU, LEAKY = 1, 2
"""Kinds of activation that a convolution can apply to its output."""

Value: TypeAlias = int | float | Sequence[float]
"""An option of a layer."""


@dataclass
class _Layer:
    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    options: dict[int, Value]

    def line(self) -> str:
        counts = len(self.inputs), len(self.outputs)
        options = (
            f"{LIST - key if isinstance(value, Sequence) else key}={_text(value)}"
            for key, value in self.options.items()
        )
        return " ".join(map(str, (self.kind, self.name, *counts, *self.inputs, *self.outputs, *options)))


@dataclass
class NcnnFile:
    """Collects layers and their weights in the order of computation; every layer gets a unique name."""

    layers: list[_Layer] = field(default_factory=lambda: [_Layer("Input", INPUT, [], [INPUT], {})])
    weights: bytearray = field(default_factory=bytearray)

    def add(
        self, kind: str, inputs: Sequence[str], options: Mapping[int, Value] | None = None, outputs: int = 1
    ) -> list[str]:
        """Append a layer; return the names of its outputs."""
        name = f"{kind.lower()}_{len(self.layers)}"
        names = [name] if outputs == 1 else [f"{name}_{n}" for n in range(outputs)]
        self.layers.append(_Layer(kind, name, list(inputs), names, dict(options or {})))
        return names

    def store(self, *tensors: Tensor, flagged: bool = False) -> None:
        """Append the weights of the layer that was added last; `flagged` precedes the first by its number format."""
        self.weights += FLOAT32 if flagged else b""
        for tensor in tensors:
            self.weights += tensor.detach().float().contiguous().numpy().tobytes()

    def finish(self, result: str) -> tuple[str, bytes]:
        """Return text and weights of a network with that result.

        ncnn frees a blob after its first use: a blob with several uses is copied by a layer `Split`.
        """
        self._merge_activations(result)
        if result == INPUT:
            (result,) = self.add("Noop", [INPUT])
        layers, last = _split(self.layers, result)
        for layer in layers:
            layer.inputs, layer.outputs = (
                [OUTPUT if n == last else n for n in names] for names in (layer.inputs, layer.outputs)
            )
        blobs = sum(len(layer.outputs) for layer in layers)
        lines = [str(MAGIC), f"{len(layers)} {blobs}", *(layer.line() for layer in layers)]
        return "\n".join(lines) + "\n", bytes(self.weights)

    def _merge_activations(self, result: str) -> None:
        """Move each ReLU into the convolution before it if nothing else uses that convolution's output."""
        uses = _uses(self.layers, result)
        makers = {layer.outputs[0]: layer for layer in self.layers}
        for layer in [layer for layer in self.layers if layer.kind == "ReLU"]:
            maker = makers[layer.inputs[0]]
            if maker.kind.startswith(("Convolution", "Deconvolution")) and uses[layer.inputs[0]] == 1:
                slope, (kind, parameters) = layer.options.get(0, 0), ACTIVATION
                assert not isinstance(slope, Sequence)
                maker.options[kind] = LEAKY if slope else RELU
                if slope:
                    maker.options[parameters] = [slope]
                maker.outputs = makers[layer.outputs[0]].outputs
                makers[layer.outputs[0]] = maker
                self.layers.remove(layer)


def _uses(layers: Sequence[_Layer], result: str) -> Counter[str]:
    return Counter([result, *(name for layer in layers for name in layer.inputs)])


def _split(layers: Sequence[_Layer], result: str) -> tuple[list[_Layer], str]:
    """Return the layers with a `Split` after each output of several uses, and the name of the result among them."""
    uses, copies, done = _uses(layers, result), dict[str, list[str]](), list[_Layer]()
    for layer in layers:
        layer.inputs = [copies[name].pop(0) if name in copies else name for name in layer.inputs]
        done.append(layer)
        for name in [name for name in layer.outputs if uses[name] > 1]:
            copies[name] = [f"{name}_copy_{n}" for n in range(uses[name])]
            done.append(_Layer("Split", f"{name}_split", [name], list(copies[name]), {}))
    return done, copies[result].pop() if result in copies else result


def _text(value: Value) -> str:
    """Format an option: whole numbers as such, floats with all digits of float32, lists with their length first."""
    if isinstance(value, Sequence):
        return ",".join([str(len(value)), *map(_text, value)])
    return str(value) if isinstance(value, int) else f"{value:.8e}"
