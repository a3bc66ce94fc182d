"""IMDN in its authors' files; our network has separate convolutions instead of their splits and concatenations."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from lowvision import Part, Recognised
from lowvision_light import IMDN
from lowvision_light.authors.splitting import by_inputs, by_outputs, count, tensor_names
from lowvision_light.imdn import STEPS

MARKS = ("IMDB1.cca.conv_du.0.weight", "fea_conv.weight", "LR_conv.weight")
"""Tensors that only IMDN has together; IMDN_AS, which halves its input, has no fea_conv.weight."""


def recognise(state: Mapping[str, Tensor]) -> Recognised | None:
    """Return the network, None for another network.

    Raises KeyError if a tensor is missing, ValueError if shapes do not fit together.
    """
    if not all(mark in state for mark in MARKS):
        return None
    blocks = count(state, r"IMDB(\d+)\.")
    channels, colours = state["fea_conv.weight"].shape[:2]
    subpixels = len(state["upsampler.0.weight"])
    scale = math.isqrt(subpixels // colours)
    if channels % STEPS or subpixels != scale**2 * colours:
        raise ValueError(f"{channels} features and {subpixels} last channels do not make an IMDN")
    ours = dict(state)
    layers = {"fea_conv": "head", "LR_conv": "blocks_end", "upsampler.0": "last"}
    layers |= by_inputs(ours, "c.0", [f"collect.parts.{k}" for k in range(blocks)], [channels] * blocks)
    for k in range(blocks):
        layers |= _block(ours, f"IMDB{k + 1}", f"blocks.{k}", channels)
    part = Part(IMDN(channels=channels, layers=blocks), ours, tensor_names(layers))
    return Recognised({"sr": {"scale": scale, "channels": colours}}, (part,))


def _block(state: dict[str, Tensor], theirs: str, ours: str, channels: int) -> dict[str, str]:
    """Split a block's convolutions in place; map the names of its layers to ours."""
    aside = channels // STEPS
    parts, widths = range(STEPS), [aside] * STEPS
    layers = {f"{theirs}.c{STEPS}": f"{ours}.aside.{STEPS - 1}"}
    for n in range(STEPS - 1):
        both = [f"{ours}.aside.{n}", f"{ours}.rest.{n}"]
        layers |= by_outputs(state, f"{theirs}.c{n + 1}", both, [aside, channels - aside])
    layers |= by_inputs(state, f"{theirs}.c5", [f"{ours}.fuse.parts.{n}" for n in parts], widths)
    squeeze, excite = f"{theirs}.cca.conv_du.0", f"{theirs}.cca.conv_du.2"
    layers |= by_inputs(state, squeeze, [f"{ours}.attention.squeeze.parts.{n}" for n in parts], widths)
    return layers | by_outputs(state, excite, [f"{ours}.attention.excite.{n}" for n in parts], widths)
