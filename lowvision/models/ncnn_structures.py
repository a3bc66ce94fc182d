"""The networks SRVGGNetCompact, RRDBNet and SPAN in ncnn's layers, recognised by the function that they compute.

Each value of a graph is a linear combination of numbered terms, and equal terms have equal numbers. Therefore two
graphs that compute the same with the same convolutions have equal outputs, regardless of how they are divided into
layers. Each structure is defined once, in `STRUCTURES`, and compared with the value that the layers compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

ONE, INPUT = -1, -2
"""Numbers of the terms that are not outputs of layers: the constant 1, and the image."""
WHITE = 255.0
"""Factor of SPAN's input."""
FIRST = "conv_1.eval_conv"
"""SPAN's first convolution."""
CONSTANT = "constant"
"""Kind of the tensor of a constant layer."""
DIGITS = 5
"""Significant digits of factors; a .param has seven."""


class Unknown(Exception):
    """The layers match no known structure."""


@dataclass(frozen=True)
class Layer:
    """One layer, a line of a .param file."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: Mapping[int, tuple[float, ...]]

    def number(self, key: int, default: float = 0.0) -> float:
        """Return an option that is one number."""
        return self.options[key][0] if key in self.options else default

    def whole(self, key: int, default: int = 0) -> int:
        """Return an option that is a whole number."""
        return int(self.number(key, default))

    def numbers(self, key: int) -> tuple[float, ...]:
        """Return an option that is a list; ncnn stores it under -23300 - key, with its length first."""
        return self.options.get(-23300 - key, (0.0,))[1:]


@dataclass(frozen=True)
class Named:
    """A recognised structure with the PyTorch names of its layers."""

    names: Mapping[str, str]
    """Name of a layer -> name of the PyTorch module."""
    first: str
    """The module whose weights `factor` scales."""
    factor: float

    def tensors(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Return the tensors of each layer by PyTorch name; a constant has no suffix."""
        state = {
            f"{name}.{kind}" if kind != CONSTANT else name: tensor
            for layer, name in self.names.items()
            for kind, tensor in tensors[layer].items()
        }
        if self.factor != 1:
            state[f"{self.first}.weight"] = state[f"{self.first}.weight"].float() * self.factor
        return state


@dataclass(frozen=True)
class Value:
    """A linear combination of numbered terms."""

    parts: frozenset[tuple[int, float]]

    @classmethod
    def of(cls, *parts: tuple[int, float]) -> Value:
        """Return the sum of (term, factor) pairs, with equal terms combined."""
        total: dict[int, float] = {}
        for term, factor in parts:
            total[term] = total.get(term, 0.0) + factor
        return cls(frozenset((term, float(f"{factor:.{DIGITS}g}")) for term, factor in total.items() if factor))

    def __add__(self, other: Value) -> Value:
        return Value.of(*self.parts, *other.parts)

    def times(self, factor: float) -> Value:
        """Return the value times a number."""
        return Value.of(*((term, part * factor) for term, part in self.parts))

    def constant(self) -> float | None:
        """Return the number that a constant value is; None if it is not constant."""
        terms = dict(self.parts)
        return terms.get(ONE, 0.0) if terms.keys() <= {ONE} else None


IMAGE = Value.of((INPUT, 1.0))


def number(value: float) -> Value:
    """Return a constant value."""
    return Value.of((ONE, value))


@dataclass
class Builder:
    """Builds values, and records the names of layers with weights."""

    terms: dict[tuple[object, ...], int]
    """Number of each term, by kind, options and inputs; shared by all graphs that are compared."""
    names: list[str] = field(default_factory=list)
    """Names of the layers with weights, in order."""

    def term(self, *content: object) -> Value:
        """Return the value of one term."""
        return Value.of((self.terms.setdefault(content, len(self.terms)), 1.0))

    def conv(self, name: str, value: Value, kernel: int = 3) -> Value:
        self.names.append(name)
        return self.term("conv", len(self.names), kernel, value)

    def prelu(self, name: str, value: Value) -> Value:
        self.names.append(name)
        return self.term("prelu", len(self.names), value)

    def data(self, name: str) -> Value:
        self.names.append(name)
        return self.term("data", len(self.names))

    def leaky(self, value: Value, slope: float = 0.2) -> Value:
        return self.term("leaky", float(f"{slope:.{DIGITS}g}"), value)

    def concat(self, *values: Value) -> Value:
        return self.term("concat", *values)

    def nearest(self, value: Value, factor: float) -> Value:
        return self.term("nearest", float(factor), value)

    def shuffled(self, value: Value, factor: int) -> Value:
        return self.term("shuffle", factor, value)

    def product(self, left: Value, right: Value) -> Value:
        for factor, value in ((left.constant(), right), (right.constant(), left)):
            if factor is not None:
                return value.times(factor)
        return self.term("product", frozenset((left, right)))


def compact(build: Builder, weighted: int, scale: int) -> Value:
    """Build SRVGGNetCompact of `weighted` convolutions and PReLUs (Real-ESRGAN)."""
    value = build.conv("body.0", IMAGE)
    for n in range(1, weighted - 1, 2):
        value = build.conv(f"body.{n + 1}", build.prelu(f"body.{n}", value))
    return build.shuffled(value, scale) + build.nearest(IMAGE, scale)


def rrdb(build: Builder, weighted: int, scale: int) -> Value:
    """Build RRDBNet x4 (ESRGAN, Real-ESRGAN)."""
    value = first = build.conv("conv_first", IMAGE)
    for n in range((weighted - 6) // 15):
        block = value
        for part in (1, 2, 3):
            value = _dense(build, f"body.{n}.rdb{part}", value)
        value = value.times(0.2) + block
    value = first + build.conv("conv_body", value)
    for name in ("conv_up1", "conv_up2"):
        value = build.leaky(build.conv(name, build.nearest(value, 2.0)))
    return build.conv("conv_last", build.leaky(build.conv("conv_hr", value)))


def _dense(build: Builder, name: str, value: Value) -> Value:
    """Build a dense block: five convolutions, each of which reads all previous outputs."""
    parts = [value]
    for n in range(1, 5):
        joined = parts[0] if n == 1 else build.concat(*parts)
        parts.append(build.leaky(build.conv(f"{name}.conv{n}", joined)))
    return build.conv(f"{name}.conv5", build.concat(*parts)).times(0.2) + value


def span(build: Builder, weighted: int, scale: int, white: float = WHITE) -> Value:
    """Build SPAN of six blocks in fused form."""
    image = (IMAGE + build.data("mean").times(-1)).times(white)
    value = shallow = build.conv(FIRST, image)
    outputs = []
    for n in range(1, (weighted - 5) // 3 + 1):
        name = f"block_{n}"
        inner = build.term("swish", build.conv(f"{name}.c1_r.eval_conv", value))
        second = build.term("swish", build.conv(f"{name}.c2_r.eval_conv", inner))
        third = build.conv(f"{name}.c3_r.eval_conv", second)
        value = build.product(third + value, build.term("sigmoid", third) + number(-0.5))
        outputs.append(value)
    end = build.conv("conv_2.eval_conv", value)
    joined = build.conv("conv_cat", build.concat(shallow, end, outputs[0], inner), kernel=1)
    return build.shuffled(build.conv("upsampler.0", joined), scale)


def span_of_one(build: Builder, weighted: int, scale: int) -> Value:
    """Build SPAN with an input range of 1 instead of 255."""
    return span(build, weighted, scale, white=1.0)


Structure = Callable[[Builder, int, int], Value]
STRUCTURES: Mapping[str, tuple[Structure, Callable[[int], bool], float]] = {
    "SRVGGNetCompact": (compact, lambda weighted: weighted >= 3 and weighted % 2 == 1, 1.0),
    "RRDBNet": (rrdb, lambda weighted: weighted > 6 and (weighted - 6) % 15 == 0, 1.0),
    "SPAN": (span, lambda weighted: weighted > 5 and (weighted - 5) % 3 == 0, 1.0),
    "SPAN of range 1": (span_of_one, lambda weighted: weighted > 5 and (weighted - 5) % 3 == 0, 1 / WHITE),
}
"""(builder, predicate on the number of weighted layers, factor of the first weights to the usual SPAN) by name."""


def named(layers: Sequence[Layer]) -> Named:
    """Return the PyTorch names of the layers with weights. Raises Unknown if no structure matches."""
    terms: dict[tuple[object, ...], int] = {}
    reader = Builder(terms)
    output = computed(layers, reader)
    count = len(reader.names)
    scale = next((layer.whole(0) for layer in layers if layer.kind == "PixelShuffle"), 1)
    for structure, is_possible, factor in STRUCTURES.values():
        builder = Builder(terms)
        if is_possible(count) and structure(builder, count, scale) == output:
            names = dict(zip(reader.names, builder.names, strict=True))
            return Named(names, FIRST, factor)
    raise Unknown(f"its {len(layers)} layers match no supported network: {', '.join(STRUCTURES)}")


def computed(layers: Sequence[Layer], build: Builder) -> Value:
    """Return the output of the last layer; record names of weighted layers in the builder. Raises Unknown."""
    values: dict[str, Value] = {}
    if unknown := sorted({layer.kind for layer in layers} - LAYERS.keys()):
        raise Unknown(f"it has unsupported layers: {', '.join(unknown)[:100]}")
    for layer in layers:
        missing = [blob for blob in layer.inputs if blob not in values]
        if missing:
            raise Unknown(f"layer '{layer.name}' reads '{missing[0]}', which no previous layer outputs")
        try:
            output = LAYERS[layer.kind](build, layer, [values[blob] for blob in layer.inputs])
        except ValueError:  # a wrong number of inputs
            raise Unknown(f"layer '{layer.name}' has a wrong number of inputs: {len(layer.inputs)}") from None
        values |= dict.fromkeys(layer.outputs, output)
    if not layers or not layers[-1].outputs:
        raise Unknown("its last layer has no output")
    return values[layers[-1].outputs[0]]


def _convolution(build: Builder, layer: Layer, inputs: list[Value]) -> Value:
    kernel = layer.whole(1)
    steps = layer.whole(2, 1), layer.whole(3, 1), layer.whole(11, kernel)
    if steps != (1, 1, kernel) or layer.whole(4) != kernel // 2 or set(layer.options) & {12, 13, 14, 15, 16, 18, 19}:
        raise Unknown(f"layer '{layer.name}' is a convolution with an unsupported stride, dilation or padding")
    value, activation = build.conv(layer.name, _only(layer, inputs), kernel), layer.whole(9)
    if activation == 0:
        return value
    if activation not in (1, 2):
        raise Unknown(f"layer '{layer.name}' has an unsupported activation, {activation}")
    return build.leaky(value, (layer.numbers(10) or (0.0,))[0] if activation == 2 else 0.0)


def _binary(build: Builder, layer: Layer, inputs: list[Value]) -> Value:
    left, right = (*inputs, number(layer.number(2))) if layer.whole(1) else inputs
    if layer.whole(0) == 2:
        return build.product(left, right)
    if layer.whole(0) > 1:
        raise Unknown(f"layer '{layer.name}' is an unsupported operation, {layer.whole(0)}")
    return left + right.times(-1 if layer.whole(0) else 1)


def _elementwise(build: Builder, layer: Layer, inputs: list[Value]) -> Value:
    if layer.whole(0) != 1:
        raise Unknown(f"layer '{layer.name}' is not a sum; only sums are supported")
    factors = layer.numbers(1) or (1.0,) * len(inputs)
    return sum((value.times(factor) for value, factor in zip(inputs, factors, strict=True)), Value.of())


def _interpolated(build: Builder, layer: Layer, inputs: list[Value]) -> Value:
    if layer.whole(0) != 1 or layer.number(1) != layer.number(2):
        raise Unknown(f"layer '{layer.name}' interpolates; only nearest neighbours with one factor are supported")
    return build.nearest(_only(layer, inputs), layer.number(1))


def _only(layer: Layer, inputs: list[Value]) -> Value:
    if len(inputs) != 1:
        raise Unknown(f"layer '{layer.name}' has {len(inputs)} inputs instead of one")
    return inputs[0]


LAYERS: Mapping[str, Callable[[Builder, Layer, list[Value]], Value]] = {
    "Input": lambda build, layer, inputs: IMAGE,
    "Split": lambda build, layer, inputs: _only(layer, inputs),
    "Convolution": _convolution,
    "PReLU": lambda build, layer, inputs: build.prelu(layer.name, _only(layer, inputs)),
    "MemoryData": lambda build, layer, inputs: build.data(layer.name),
    "BinaryOp": _binary,
    "Eltwise": _elementwise,
    "ReLU": lambda build, layer, inputs: build.leaky(_only(layer, inputs), layer.number(0)),
    "Swish": lambda build, layer, inputs: build.term("swish", _only(layer, inputs)),
    "Sigmoid": lambda build, layer, inputs: build.term("sigmoid", _only(layer, inputs)),
    "Concat": lambda build, layer, inputs: build.term("concat", *inputs),
    "Interp": _interpolated,
    "PixelShuffle": lambda build, layer, inputs: build.shuffled(_only(layer, inputs), layer.whole(0)),
}
"""Functions from the inputs of a layer to its output, by kind."""
