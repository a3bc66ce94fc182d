"""Re-parameterisation: layers that are trained in one form and used in another, and the conversion of networks.

Kernels that read the same input can be added, a small one into the centre of a large one (Ding et al., ICCV 2019:
ACNet: Strengthening the Kernel Skeletons for Powerful CNN via Asymmetric Convolution Blocks); convolutions in sequence
without a nonlinearity can be multiplied, and batch normalisation in eval() scales a kernel (Ding et al., CVPR 2021:
RepVGG: Making VGG-style ConvNets Great Again).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn


class Fusible(ABC):
    """Mixin for an nn.Module that is trained, and that a cheaper module of the same function replaces in use."""

    @abstractmethod
    def fused(self) -> nn.Module:
        """Return the cheaper module, with weights: in eval() both have equal outputs. Must not modify this one."""


class ParallelConv(nn.ModuleList, Fusible):
    """The sum of convolutions of one input, which fuse into one: (B,C,h,w) -> (B,C',h',w')."""

    def __init__(self, convolutions: Iterable[nn.Conv2d]):
        """Raise ValueError if one convolution cannot compute the sum."""
        super().__init__(convolutions)
        parts = self.parts()
        if not parts or len(parts) < len(self) or not all(_fits(part, parts) for part in parts):
            raise ValueError(
                f"these {len(self)} modules cannot be added in one convolution; give convolutions of the same stride, "
                "dilation, groups and channels, with odd kernels and zero padding that keeps their outputs aligned"
            )

    def parts(self) -> list[nn.Conv2d]:
        """Return the convolutions."""
        return [part for part in self if isinstance(part, nn.Conv2d)]

    def forward(self, features: Tensor) -> Tensor:
        first, *others = (convolution(features) for convolution in self)
        return sum(others, first)

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """Return the one convolution; weights are added in float64, so that they are rounded once."""
        parts, (height, width) = self.parts(), _kernel(self.parts())
        convolution, like = _like(parts), parts[0].weight
        weight = torch.zeros(*like.shape[:2], height, width, dtype=torch.float64, device=like.device)
        bias = torch.zeros(convolution.out_channels, dtype=torch.float64, device=like.device)
        for part in parts:
            rows, columns = part.kernel_size
            top, left = (height - rows) // 2, (width - columns) // 2
            weight[..., top : top + rows, left : left + columns] += part.weight
            bias += 0 if part.bias is None else part.bias
        convolution.weight.copy_(weight)
        if convolution.bias is not None:
            convolution.bias.copy_(bias)
        return convolution


def fuse(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of a network in fused form to those of one in training form, in place; the outputs are equal.

    Every `Fusible` of `larger` is, in `smaller`, the module that `fused` returns, of the same name; all other tensors
    are equal. Return False, and change nothing, if the networks differ otherwise.
    """
    state = fused_state(larger, smaller)
    target = smaller.state_dict()
    if target.keys() != state.keys() or any(tensor.shape != state[key].shape for key, tensor in target.items()):
        return False
    with torch.no_grad():
        for key, tensor in target.items():
            tensor.copy_(state[key])
    return True


def fused_state(larger: nn.Module, smaller: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of `larger` with every module replaced that is fused in `smaller`."""
    fused = dict(_fused_modules(larger, dict(smaller.named_modules())))
    prefixes = tuple(f"{name}." for name in fused)
    state = {key: tensor for key, tensor in larger.state_dict().items() if not key.startswith(prefixes)}
    for name, module in fused.items():
        state |= {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}
    return state


def _fused_modules(larger: nn.Module, kept: dict[str, nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Yield name and fused form of the outermost Fusible modules, except those that are Fusible in `kept` too."""
    done = ""
    for name, module in larger.named_modules():
        is_inner = bool(done) and name.startswith(done)
        if isinstance(module, Fusible) and not isinstance(kept.get(name), Fusible) and not is_inner:
            done = f"{name}."
            yield name, module.fused()


def _fits(part: nn.Conv2d, parts: list[nn.Conv2d]) -> bool:
    """Return True if the kernel of `part`, padded with zeros to the largest height and width, computes the same."""
    padding = _padding(parts)
    if _signature(part) != _signature(parts[0]) or part.padding_mode != "zeros" or padding is None:
        return False
    assert not isinstance(part.padding, str)
    margins = [large - small for large, small in zip(_kernel(parts), part.kernel_size, strict=True)]
    axes = zip(margins, part.dilation, part.padding, padding, strict=True)
    return all(m % 2 == 0 and wide - narrow == m // 2 * dilation for m, dilation, narrow, wide in axes)


def _signature(convolution: nn.Conv2d) -> tuple[object, ...]:
    """Return the properties that convolutions must share to be added."""
    c = convolution
    return c.in_channels, c.out_channels, c.groups, c.stride, c.dilation, c.padding_mode


def _kernel(parts: list[nn.Conv2d]) -> tuple[int, int]:
    """Return the height and width of the fused kernel."""
    return max(part.kernel_size[0] for part in parts), max(part.kernel_size[1] for part in parts)


def _padding(parts: list[nn.Conv2d]) -> tuple[int, int] | None:
    """Return the padding of the fused kernel: of the largest kernels; None for a padding like "same"."""
    if any(isinstance(part.padding, str) for part in parts):
        return None
    rows = max(parts, key=lambda part: part.kernel_size[0]).padding[0]
    columns = max(parts, key=lambda part: part.kernel_size[1]).padding[1]
    return int(rows), int(columns)


def _like(parts: list[nn.Conv2d]) -> nn.Conv2d:
    """Build the convolution that can compute the sum, with the device and type of the parts."""
    first = parts[0]
    padding = _padding(parts)
    assert padding is not None  # checked when the parts were joined
    convolution = nn.Conv2d(
        first.in_channels,
        first.out_channels,
        _kernel(parts),
        stride=first.stride,  # type: ignore[arg-type]  # a pair
        padding=padding,
        dilation=first.dilation,  # type: ignore[arg-type]  # a pair
        groups=first.groups,
        bias=any(part.bias is not None for part in parts),
    )
    return convolution.to(first.weight)
