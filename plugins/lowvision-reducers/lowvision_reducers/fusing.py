"""Adds parallel convolutions up into one, in the weights of a trained network.

Nothing is known of either network but what `Backbone.fuse` promises: where the larger has an nn.ModuleList of
convolutions, the smaller has under the same name the one that is their sum; all else is equal in both. Convolution is
linear, so kernels that read the same input can be added, a small one into the middle of a large one (Ding et al., 2019:
ACNet: Strengthening the Kernel Skeletons for Powerful CNN via Asymmetric Convolution Blocks, ICCV).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def fuse(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of `smaller` so that it computes what `larger` does; False, and nothing set, where it cannot."""
    theirs, state = dict(larger.named_modules()), larger.state_dict()
    for name, one in smaller.named_modules():
        parallel = theirs.get(name)
        if not isinstance(one, nn.Conv2d) or not isinstance(parallel, nn.ModuleList):
            continue
        parts = [part for part in parallel if isinstance(part, nn.Conv2d)]
        if len(parts) < len(parallel) or not all(_fits(part, one) for part in parts):
            return False
        for key in [key for key in state if key.startswith(f"{name}.")]:
            del state[key]
        state |= {f"{name}.{key}": tensor for key, tensor in _added(parts, one).items()}
    mine = smaller.state_dict()
    if mine.keys() != state.keys() or any(tensor.shape != state[key].shape for key, tensor in mine.items()):
        return False
    with torch.no_grad():
        for key, tensor in mine.items():
            tensor.copy_(state[key])
    return True


def _fits(part: nn.Conv2d, one: nn.Conv2d) -> bool:
    """Whether the kernel of `part`, with zeros around it, is one of `one` that computes the same."""
    if _kind(part) != _kind(one) or isinstance(part.padding, str) or isinstance(one.padding, str):
        return False
    if part.padding_mode != "zeros" or (part.bias is not None and one.bias is None):
        return False
    steps = zip(_margins(part, one), one.dilation, part.padding, one.padding, strict=True)
    return all(m >= 0 and m % 2 == 0 and wide - narrow == m // 2 * dilation for m, dilation, narrow, wide in steps)


def _kind(convolution: nn.Conv2d) -> tuple[object, ...]:
    """What two convolutions must have in common to be added."""
    c = convolution
    return c.in_channels, c.out_channels, c.groups, c.stride, c.dilation, c.padding_mode


def _margins(part: nn.Conv2d, one: nn.Conv2d) -> list[int]:
    """Rows and columns that the kernel of `one` has more."""
    return [large - small for large, small in zip(one.kernel_size, part.kernel_size, strict=True)]


def _added(parts: Sequence[nn.Conv2d], one: nn.Conv2d) -> dict[str, Tensor]:
    """Weight, and bias where `one` has it, of the sum; added in float64, so that it is rounded once."""
    weight = torch.zeros_like(one.weight, dtype=torch.float64)
    bias = torch.zeros(one.out_channels, dtype=torch.float64, device=weight.device)
    for part in parts:
        rows, columns = (margin // 2 for margin in _margins(part, one))
        height, width = part.kernel_size
        weight[..., rows : rows + height, columns : columns + width] += part.weight.detach()
        bias += 0 if part.bias is None else part.bias.detach()
    return {"weight": weight} if one.bias is None else {"weight": weight, "bias": bias}
