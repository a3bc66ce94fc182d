"""PAN in its authors' files; our network has separate convolutions instead of their concatenations."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Part, Recognised
from lowvision_light import PAN
from lowvision_light.authors.splitting import by_inputs, count, tensor_names

MARK = "SCPA_trunk.0.PAConv.k2.weight"
"""A tensor that only PAN has."""
SECOND = "upconv2.weight"
"""A tensor that only networks for x4 have."""
BLOCK = {
    "conv1_a": "start_plain",
    "conv1_b": "start_attended",
    "k1.0": "plain",
    "PAConv.k2": "attention",
    "PAConv.k3": "attended",
    "PAConv.k4": "after",
}
STAGE = {"upconv": "first", "att": "attention", "HRconv": "second"}
"""Layers of a block, and of an upsampling stage: the file's names -> ours."""


def recognise(state: Mapping[str, Tensor], scale: int | None) -> Recognised | None:
    """Return the network; None for another one. Raises KeyError if a tensor is missing, ValueError like `scale_of`."""
    if MARK not in state:
        return None
    blocks = count(state, r"SCPA_trunk\.(\d+)\.") + 1
    channels, colours = state["conv_first.weight"].shape[:2]
    network_scale = scale_of(state, scale)
    ours = dict(state)
    layers = {"conv_first": "head", "trunk_conv": "blocks_end", "conv_last": "last"}
    for k in range(blocks):
        theirs, mine = f"SCPA_trunk.{k}", f"blocks.{k}"
        layers |= {f"{theirs}.{name}": f"{mine}.{inner}" for name, inner in BLOCK.items()}
        ends = [f"{mine}.end_plain", f"{mine}.end_attended"]
        layers |= by_inputs(ours, f"{theirs}.conv3", ends, [channels // 2] * 2)
    for n in range(2 if network_scale == 4 else 1):
        layers |= {_stage(theirs, n + 1): f"enlarge.{n}.{mine}" for theirs, mine in STAGE.items()}
    part = Part(PAN(channels=channels, layers=blocks), ours, tensor_names(layers))
    return Recognised({"sr": {"scale": network_scale, "channels": colours}}, (part,))


def scale_of(state: Mapping[str, Tensor], scale: int | None) -> int:
    """Return the scale of the network. Raises ValueError if it is ambiguous, or differs from the given one."""
    if SECOND in state:
        if scale not in (None, 4):
            raise ValueError(f"its scale is 4, not {scale}; leave the format's scale out")
        return 4
    if scale not in (2, 3):
        raise ValueError(
            "its scale is 2 or 3, which its tensors do not determine; pass e.g. --format 'pan_file: {scale: 2}'"
        )
    return scale


def _stage(name: str, number: int) -> str:
    return f"att{number}.conv" if name == "att" else f"{name}{number}"
