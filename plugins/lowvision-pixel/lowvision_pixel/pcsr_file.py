"""PCSR in its authors' files: an encoder and three perceptrons, whose first layer reads features, position and size."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lowvision import Part, Recognised
from lowvision_pixel import Pixel

MARK = "heavy_sampler.imnet.layers.0.weight"
ENCODER = "encoder.head_conv.0.weight"
"""A tensor that only FSRCNN has."""
SAMPLERS = {"heavy_sampler": "heavy", "light_sampler": "light", "classifier": "classifier"}
"""Perceptrons: the file's names -> ours."""
KINDS = ("weight", "bias")
SHARED = 7
"""Layers of the encoder besides the mapping convolutions."""
POSITION = 2
"""Inputs for row and column in the LQ pixel; as many follow for height and width of the output pixel."""


def recognise(state: Mapping[str, Tensor], scale: int) -> Recognised | None:
    """Return the network for `scale`, None for another network. Raises KeyError if an expected tensor is missing.

    Raises ValueError if the encoder is another than FSRCNN, or if the classifier has not been trained yet.
    """
    if MARK not in state:
        return None
    if ENCODER not in state:
        raise ValueError("its encoder is not FSRCNN's, the only one that backbone pixel has")
    if not any(name.startswith("light_sampler.") for name in state):
        raise ValueError("it is of the first phase of training, without classifier; give the file of the second")
    encoder = {name.removeprefix("encoder."): t for name, t in state.items() if name.startswith("encoder.")}
    layers = _encoder_layers(_count(encoder, "body_conv.") - 3)
    kept = {f"encoder.{name}": tensor for name, tensor in encoder.items()}
    names = {f"encoder.{theirs}.{kind}": f"body.{ours}.{kind}" for theirs, ours in layers.items() for kind in KINDS}
    widths: dict[str, tuple[int, ...]] = {}
    for theirs, ours in SAMPLERS.items():
        names_of = [f"{theirs}.imnet.layers.{2 * number}" for number in _depth(state, theirs)]
        pairs = [(state[f"{layer}.weight"], state[f"{layer}.bias"]) for layer in names_of]
        widths[ours] = tuple(len(weight) for weight, _ in pairs[:-1])
        kept |= _perceptron(ours, pairs, scale)
    backbone = Pixel(
        channels=len(encoder["head_conv.0.weight"]),
        shrink=len(encoder["body_conv.0.0.weight"]),
        layers=len(layers) - SHARED,
        skip="bilinear",
        heavy=widths["heavy"],
        light=widths["light"],
        classifier=widths["classifier"],
    )
    kept |= {"unasked": torch.tensor(False), "k": torch.zeros(())}
    return Recognised({"sr": {"scale": scale}}, (Part(backbone, kept, names),))


def _perceptron(name: str, layers: list[tuple[Tensor, Tensor]], scale: int) -> dict[str, Tensor]:
    """Return our tensors of a perceptron. At a fixed scale the size of a pixel, 2/scale, is a part of the bias."""
    (weight, bias), *others = layers
    channels = weight.shape[1] - 2 * POSITION
    size = weight[:, channels + POSITION :].double().sum(dim=1) * 2 / scale
    state = {
        f"{name}.features.weight": weight[:, :channels],
        f"{name}.features.bias": (bias.double() + size).to(bias),
        f"{name}.place.weight": weight[:, channels : channels + POSITION],
    }
    for number, pair in enumerate(others):
        state |= {f"{name}.rest.{2 * number + 1}.{kind}": t for kind, t in zip(KINDS, pair, strict=True)}
    return state


def _depth(state: Mapping[str, Tensor], sampler: str) -> range:
    """Return the numbers of the linear layers of a perceptron, which alternate with activations."""
    return range((_count(state, f"{sampler}.imnet.layers.") + 1) // 2)


def _count(names: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of indices after `prefix`, from 0 to the largest."""
    indices = (name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix))
    return max((int(index) for index in indices if index.isdecimal()), default=-1) + 1


def _encoder_layers(mapping: int) -> dict[str, str]:
    """Map the encoder's layer names to ours; mapping: the number of mapping convolutions."""
    return {
        "head_conv.0": "0",
        "head_conv.1": "1",
        "body_conv.0.0": "2",
        "body_conv.0.1": "3",
        **{f"body_conv.{1 + k}": f"{4 + k}" for k in range(mapping)},
        f"body_conv.{mapping + 1}": f"{mapping + 4}",
        f"body_conv.{mapping + 2}.0": f"{mapping + 5}",
        f"body_conv.{mapping + 2}.1": f"{mapping + 6}",
    }
