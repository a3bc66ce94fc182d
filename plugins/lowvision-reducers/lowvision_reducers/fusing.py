"""Fuse parallel convolutions of a trained network into one.

The code relies only on the contract of `Backbone.fuse`: if the larger network has an nn.ModuleList of convolutions, the
smaller one has a single convolution under the same name, their sum; everything else is equal. Convolution is linear, so
kernels that read the same input can be added, a small kernel into the centre of a large one (Ding et al., ICCV 2019:
ACNet: Strengthening the Kernel Skeletons for Powerful CNN via Asymmetric Convolution Blocks).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def fuse(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of `smaller` so that both have equal output. Return False, and change nothing, if they cannot."""
    modules, state = dict(larger.named_modules()), larger.state_dict()
    for name, fused in smaller.named_modules():
        parallel = modules.get(name)
        if not isinstance(fused, nn.Conv2d) or not isinstance(parallel, nn.ModuleList):
            continue
        parts = [part for part in parallel if isinstance(part, nn.Conv2d)]
        if len(parts) < len(parallel) or not all(_fits(part, fused) for part in parts):
            return False
        for key in [key for key in state if key.startswith(f"{name}.")]:
            del state[key]
        state |= {f"{name}.{key}": tensor for key, tensor in _sum(parts, fused).items()}
    target = smaller.state_dict()
    if target.keys() != state.keys() or any(tensor.shape != state[key].shape for key, tensor in target.items()):
        return False
    with torch.no_grad():
        for key, tensor in target.items():
            tensor.copy_(state[key])
    return True


def _fits(part: nn.Conv2d, fused: nn.Conv2d) -> bool:
    """Return True if the kernel of `part`, padded with zeros to that of `fused`, computes the same."""
    if _signature(part) != _signature(fused) or isinstance(part.padding, str) or isinstance(fused.padding, str):
        return False
    if part.padding_mode != "zeros" or (part.bias is not None and fused.bias is None):
        return False
    axes = zip(_margins(part, fused), fused.dilation, part.padding, fused.padding, strict=True)
    return all(m >= 0 and m % 2 == 0 and wide - narrow == m // 2 * dilation for m, dilation, narrow, wide in axes)


def _signature(convolution: nn.Conv2d) -> tuple[object, ...]:
    """Return the properties that two convolutions must share to be added."""
    c = convolution
    return c.in_channels, c.out_channels, c.groups, c.stride, c.dilation, c.padding_mode


def _margins(part: nn.Conv2d, fused: nn.Conv2d) -> list[int]:
    """Return the number of additional rows and columns in the kernel of `fused`."""
    return [large - small for large, small in zip(fused.kernel_size, part.kernel_size, strict=True)]


def _sum(parts: Sequence[nn.Conv2d], fused: nn.Conv2d) -> dict[str, Tensor]:
    """Return weight, and bias if `fused` has one, of the sum; added in float64, so that it is rounded once."""
    weight = torch.zeros_like(fused.weight, dtype=torch.float64)
    bias = torch.zeros(fused.out_channels, dtype=torch.float64, device=weight.device)
    for part in parts:
        rows, columns = (margin // 2 for margin in _margins(part, fused))
        height, width = part.kernel_size
        weight[..., rows : rows + height, columns : columns + width] += part.weight.detach()
        bias += 0 if part.bias is None else part.bias.detach()
    return {"weight": weight} if fused.bias is None else {"weight": weight, "bias": bias}
