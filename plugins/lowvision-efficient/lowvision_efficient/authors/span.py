"""SPAN in its authors' files: with all branches of the training form, with the fused convolutions, or with both."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lowvision import Recognised
from lowvision_efficient import DIV2K_MEAN, SPAN, Colour, Form
from lowvision_efficient.authors.names import count, recognised
from lowvision_efficient.reparam import folded_weights
from lowvision_efficient.span import WHITE

MARKS = ("conv_cat.weight", "upsampler.0.weight")
FUSED = "eval_conv"
BRANCHES = {"conv.0": "expand", "conv.1": "spread", "conv.2": "project", "sk": "skip"}
"""Convolutions of the training form: the file's names -> ours."""
MEAN = "mean"
"""Mean colour that is subtracted from the input; only in ncnn files."""
CLOSE = 1e-6
"""Tolerance for the rounding of a mean to float32."""
NORMALISATION_OFF = "no_norm"
"""A tensor that traiNNer writes for networks that neither subtract a mean colour nor multiply their input."""


def recognise(state: Mapping[str, Tensor], form: Form) -> Recognised | None:
    """Return the network in the form `form`, None for another one. Raises KeyError if a tensor that decides is missing.

    Raises ValueError if the file lacks branches that the form needs.
    """
    if not all(mark in state for mark in MARKS) or not any(name.startswith("block_1.c1_r.") for name in state):
        return None
    blocks = count(state, r"block_(\d+)\.")
    convolutions = _convolutions(blocks)
    branched = is_branched(state, list(convolutions), form)
    kept = {n: t for n, t in state.items() if not any(n.startswith(f"{c}.") for c in convolutions)}
    is_raw = kept.pop(NORMALISATION_OFF, None) is not None
    layers = {"conv_cat": "collect", "upsampler.0": "last"}
    for theirs, ours in convolutions.items():
        if form == "branches":
            layers |= {f"{theirs}.{name}": f"{ours}.{mine}" for name, mine in BRANCHES.items()}
            kept |= {n: t for n, t in state.items() if n.startswith(f"{theirs}.") and f".{FUSED}." not in n}
        else:
            layers[f"{theirs}.{FUSED}"] = ours
            kept |= fused(state, theirs) if branched else _tensors_of(state, theirs)
    channels = state["conv_cat.weight"].shape[0]
    inputs = ["conv_1.conv.0.weight", "conv_1.sk.weight"] if form == "branches" else [f"conv_1.{FUSED}.weight"]
    colours = kept[inputs[0]].shape[1]
    mean = (0.0, 0.0, 0.0) if is_raw else _mean(kept.pop(MEAN, None))
    if is_raw:  # the image itself is the first convolution's input, which our network multiplies by WHITE
        kept |= {name: kept[name] / WHITE for name in inputs}
    backbone = SPAN(channels=channels, layers=blocks, form=form, mean=mean)
    return recognised(backbone, kept, layers, colours, len(state["upsampler.0.weight"]))


def is_branched(state: Mapping[str, Tensor], convolutions: list[str], form: Form) -> bool:
    """Return True if every convolution has all of its branches; a file may hold fused convolutions, too.

    Raises ValueError if some have branches and others do not, or only a part of them, or none where `form` needs them.
    """
    kinds = ("weight", "bias")
    branches = [f"{name}.{branch}.{kind}" for name in convolutions for branch in BRANCHES for kind in kinds]
    missing = [name for name in branches if name not in state]
    if len(missing) == len(branches):
        if form == "branches":
            raise ValueError("it holds only fused convolutions, whose branches are lost; read it in form plain")
        return False
    if missing:
        raise ValueError(
            f"it holds branches of the training form, but {len(missing)} of their tensors are missing, "
            f"e.g. {missing[0]}; save either all branches or none"
        )
    return True


def fused(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the convolution that the branches of `name` fold into, by the fused name.

    The fused tensors in a training file may be older than its branches: the authors' program updates them only in
    evaluations.
    """
    parts = [(state[f"{name}.{branch}.weight"], state[f"{name}.{branch}.bias"]) for branch in BRANCHES]
    weight, bias = folded_weights(*parts)
    return {f"{name}.{FUSED}.weight": weight.to(parts[0][0]), f"{name}.{FUSED}.bias": bias.to(parts[0][1])}


def _tensors_of(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if key.startswith(f"{name}.")}


def _convolutions(blocks: int) -> dict[str, str]:
    """Map the names of convolutions with a training form: the file's -> ours."""
    inner = {"c1_r": "first", "c2_r": "second", "c3_r": "third"}
    of_blocks = {f"block_{k + 1}.{name}": f"blocks.{k}.{mine}" for k in range(blocks) for name, mine in inner.items()}
    return {"conv_1": "head", **of_blocks, "conv_2": "blocks_end"}


def _mean(values: Tensor | None) -> Colour:
    """Return the mean as a tuple; DIV2K's in its few digits if it is close."""
    if values is None:
        return DIV2K_MEAN
    r, g, b = values.flatten().expand(3).tolist() if values.numel() == 1 else values.flatten().tolist()
    is_usual = max(abs(mine - usual) for mine, usual in zip((r, g, b), DIV2K_MEAN, strict=True)) < CLOSE
    return DIV2K_MEAN if is_usual else (r, g, b)
