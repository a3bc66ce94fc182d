"""Count the exact cost of a network: multiply-adds and parameters, and FLOPs by the convention of papers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

OPERATIONS_PER_MULTIPLY_ADD = 2
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
"""Layers that use all of their weights equally often."""


def multiply_adds(module: nn.Module, shape: Sequence[int]) -> int:
    """Return the multiply-adds of one forward pass of `module`, as in eval(), on an input of `shape` (B,C,h,w).

    Counts convolutions (transposed ones on their input grid) and matrix products, i.e. the operations that the graph
    executes. Interpolation, activations and additions are not counted. The module is neither run nor modified: see
    `weightless`.
    """
    return _operations(module, shape, {}) // OPERATIONS_PER_MULTIPLY_ADD


def theoretical_multiply_adds(module: nn.Module, shape: Sequence[int]) -> int:
    """Return the `multiply_adds` without those by weights that a mask keeps at zero regardless of training.

    The number is theoretical: dense kernels compute the masked ones too, only a kernel that skips zeros would save
    them. The module must not be on the meta device, where masks have no values.
    """
    if not may_mask(module):
        return multiply_adds(module, shape)
    counted, skipped = weightless(module), 0
    with FlopCounterMode(display=False) as counter, torch.no_grad():

        def begin(layer: nn.Module, _: Any) -> None:
            begun[layer] = counter.get_total_flops()

        def end(layer: nn.Module, _: Any, __: Any) -> None:
            nonlocal skipped
            skipped += int((counter.get_total_flops() - begun[layer]) * zeros[layer])

        begun: dict[nn.Module, int] = {}
        zeros = dict(zip(counted.modules(), _masked_shares(module), strict=True))
        for layer, share in zeros.items():
            if share:
                layer.register_forward_pre_hook(begin)
                layer.register_forward_hook(end)
        counted(_meta_input(counted, shape))
        return int(counter.get_total_flops() - skipped) // OPERATIONS_PER_MULTIPLY_ADD


def may_mask(module: nn.Module) -> bool:
    """Return True if some layer computes its weight from its parameters; works on the meta device."""
    return any(_computes_weight(part) for part in module.modules())


def _computes_weight(part: nn.Module) -> bool:
    return isinstance(part, WEIGHTED) and not isinstance(part.weight, nn.Parameter)


def _masked_shares(module: nn.Module) -> Iterator[Fraction]:
    """Yield, for the module and each submodule, the share of zeros in its weight if all parameters are 1."""
    full = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.fill_(1)
        for part in full.modules():
            zeros = Fraction(0)
            if isinstance(part, WEIGHTED) and _computes_weight(part):
                zeros = 1 - Fraction(int(part.weight.count_nonzero()), part.weight.numel())
            yield zeros


def paper_flops(module: nn.Module, shape: Sequence[int]) -> int:
    """Return FLOPs by the convention of papers: 2 per multiply-add, transposed convolutions on the *output* grid.

    For FSRCNN x4 that overstates the last layer by a factor of 16. Use it only to compare with published tables.
    """
    return _operations(module, shape, {torch.ops.aten.convolution: _convolution_on_output_grid})


def largest_tensor(module: nn.Module, shape: Sequence[int]) -> int:
    """Return the number of elements in the largest tensor of one forward pass on an input of `shape` (B,C,h,w)."""
    module = weightless(module)
    largest = _Largest()
    with largest, torch.no_grad():
        module(_meta_input(module, shape))
    return largest.numbers


def parameters(module: nn.Module) -> int:
    """Return the number of parameters, counted by storage: tensors that submodules share or slice count once."""
    largest: dict[tuple[int, int], int] = {}
    for parameter in module.parameters():
        place = (parameter.untyped_storage()._cdata, int(parameter.storage_offset()))
        largest[place] = max(largest.get(place, 0), parameter.numel())
    return sum(largest.values())


def weightless(module: nn.Module) -> nn.Module:
    """Copy the module to the meta device, in eval(): its parameters and buffers have shapes but no data.

    The copy takes no memory for weights and keeps sharing between submodules; the module itself is not modified.
    All tensors must be parameters or buffers: a tensor in a plain attribute would keep its data and its device.
    """
    # deepcopy treats the entries of its memo as copied already.
    emptied: dict[int, Any] = {id(parameter): _empty_parameter(parameter) for parameter in module.parameters()}
    emptied |= {id(buffer): torch.empty_like(buffer, device="meta") for buffer in module.buffers()}
    return copy.deepcopy(module, emptied).eval()


def _empty_parameter(parameter: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad)


def _operations(module: nn.Module, shape: Sequence[int], mapping: Mapping[Any, Callable[..., int]]) -> int:
    module = weightless(module)
    with FlopCounterMode(display=False, custom_mapping=dict(mapping)) as counter, torch.no_grad():
        module(_meta_input(module, shape))
    return int(counter.get_total_flops())


class _Largest(TorchDispatchMode):
    """Record the size of the largest output over all operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own has no annotations
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(outputs):
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return outputs


def _meta_input(module: nn.Module, shape: Sequence[int]) -> Tensor:
    dtypes = (parameter.dtype for parameter in module.parameters() if parameter.is_floating_point())
    return torch.empty(tuple(shape), dtype=next(dtypes, None), device="meta")


def _convolution_on_output_grid(
    x_shape: Sequence[int], weight_shape: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any
) -> int:
    """Count a convolution, transposed or not, as if its whole kernel were applied at every output pixel."""
    batch, _channels, *grid = out_shape
    return OPERATIONS_PER_MULTIPLY_ADD * batch * math.prod(grid) * math.prod(weight_shape)
