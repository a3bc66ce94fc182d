"""Initialise a smaller network with weights of a trained one: slices of its channels, a subset of its layers.

The code relies only on the modules of both networks and on two conventions of image networks: a convolution that reads
a multiple of the features reads them concatenated, and one that outputs a multiple of them feeds a pixel shuffle.
A network that works on nested ranges of its features marks them by `lowvision.layers.Leading`.
Channels are selected by their weights (after Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lowvision.layers import Leading

LISTS = (nn.Sequential, nn.ModuleList)


def inherit_weights(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of `smaller` to slices of those of `larger`. Return False, and change nothing, if they mismatch.

    Both have the same modules by name; `smaller` has fewer channels, fewer entries in its lists, or both. Entries of a
    longer list are matched from the front.
    """
    features = _features(larger, smaller)
    pairs = _pairs(larger, smaller, features)
    if pairs is None:
        return False
    with torch.no_grad():
        for large, small in pairs:
            for name, tensor in _tensors(small):
                tensor.copy_(_slice(large, name, tensor, features))
    return True


@dataclass(frozen=True)
class Features:
    """The feature channels of a network: their number, and which are kept."""

    count: int
    kept: Tensor
    """(C',) indices, ascending."""
    nested: frozenset[int] = frozenset()
    """Widths of the ranges of leading channels that parts of the network read alone."""


def _features(larger: nn.Module, smaller: nn.Module) -> Features | None:
    """Select the strongest channels, equally many per group, or as many per nested range as `smaller` has.

    None if both networks have equally many, or if a range of `smaller` is larger than that of `larger`.
    """
    width = _width(larger), _width(smaller)
    if width[0] == width[1]:
        return None
    nested = _nested(larger, width[0])
    old, new = (nested, _nested(smaller, width[1])) if nested else _groupwise(larger, *width)
    counts = [[end - start for start, end in pairwise(bounds)] for bounds in (old, new)]
    if len(old) != len(new) or any(few > many for many, few in zip(*counts, strict=True)):
        return None
    strength = _strength(larger, width[0], nested)
    ranges = zip(strength.split(counts[0]), counts[1], old[:-1], strict=True)
    kept = torch.cat([part.topk(count).indices.sort().values + start for part, count, start in ranges])
    return Features(width[0], kept, frozenset(nested) - {0, width[0]})


def _nested(network: nn.Module, count: int) -> list[int]:
    """Return the bounds of the nested ranges, from 0 to `count`; empty if there are none."""
    widths = {m.width for m in network.modules() if isinstance(m, Leading) and m.width < count}
    return sorted({0, *widths, count}) if widths else []


def _groupwise(larger: nn.Module, old: int, new: int) -> tuple[list[int], list[int]]:
    """Return the bounds of the channel groups in both networks."""
    groups = max((_groups(m) for m in larger.modules()), default=1)
    if old % groups or new % groups:
        groups = 1
    return [k * old // groups for k in range(groups + 1)], [k * new // groups for k in range(groups + 1)]


def _width(network: nn.Module) -> int:
    """Return the output channels of the first convolution."""
    return next((m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)), 0)


def _strength(network: nn.Module, count: int, nested: list[int]) -> Tensor:
    """Return (C,) the sum of squared weights that read each channel, over all convolutions."""
    strength = torch.zeros(count)
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        if module.in_channels % count == 0 or module.in_channels in nested:
            weight = module.weight.detach().float().cpu()
            if isinstance(module, nn.Conv2d):
                weight = weight.unflatten(0, (module.groups, -1)).transpose(1, 2).flatten(0, 1)  # (in, out/groups, ...)
            read = weight.square().flatten(1).sum(dim=1)  # (in,)
            width = min(len(read), count)
            strength[:width] += read.view(-1, width).sum(dim=0)
    return strength


def _pairs(
    larger: nn.Module, smaller: nn.Module, features: Features | None
) -> list[tuple[nn.Module, nn.Module]] | None:
    """Pair each module of `smaller` with its counterpart in `larger`; None if one has none."""
    if _type(larger) is not _type(smaller) or not _fits(larger, smaller, features):
        return None
    pairs = [(larger, smaller)]
    candidates = iter([child for _, child in _children(larger)])
    for name, child in _children(smaller):
        if not isinstance(smaller, LISTS):
            candidates = iter([c for n, c in _children(larger) if n == name])
        matched = next((m for c in candidates if (m := _pairs(c, child, features)) is not None), None)
        if matched is None:
            return None
        pairs += matched
    return pairs


def _fits(large: nn.Module, small: nn.Module, features: Features | None) -> bool:
    """Return True if every parameter and buffer of `small` itself can be sliced from that of `large`."""
    if _groups(large) != _groups(small):
        return False
    sources = dict(_tensors(large))
    for name, tensor in _tensors(small):
        source = sources.get(name)
        if source is None or source.dim() != tensor.dim() or source.shape[2:] != tensor.shape[2:]:
            return False
        sizes = zip(_sizes(large, source), _sizes(small, tensor), strict=True)
        if not all(_shrinks(old, new, features) for old, new in sizes):
            return False
    return True


def _sizes(module: nn.Module, tensor: Tensor) -> tuple[int, ...]:
    """Return the channels along the first two axes, summed over groups."""
    sizes = list(tensor.shape[:2])
    if len(sizes) == 2:
        sizes[1] *= _groups(module)
    return tuple(sizes)


def _shrinks(old: int, new: int, features: Features | None) -> bool:
    if features is None or old == new:
        return old == new
    times, rest = divmod(old, features.count)
    return new == times * len(features.kept) if rest == 0 else new < old


def _slice(large: nn.Module, name: str, like: Tensor, features: Features | None) -> Tensor:
    """Return the slice of the larger module's tensor `name` that has the shape of `like`."""
    tensor = dict(_tensors(large))[name]
    groups = _groups(large)
    transposed = isinstance(large, nn.ConvTranspose2d)
    if tensor.dim() == 0:
        return tensor
    # The first axis of a transposed convolution is its inputs.
    first = _kept(len(tensor), len(like), features, concatenated=transposed and tensor.dim() > 1)
    if tensor.dim() == 1:
        return tensor[first]
    second = _kept(tensor.shape[1] * groups, like.shape[1] * groups, features, concatenated=not transposed)
    # Indices along the second axis are relative to the group.
    in_group = (second % tensor.shape[1]).view(groups, -1)  # (G, kept per group)
    group = torch.arange(len(first)) // (len(first) // groups)  # (kept,)
    kept = tensor[first[:, None], in_group[group]]
    if not isinstance(large, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        return kept  # the module scales or normalises; it does not sum over channels
    return _rescaled(kept, tensor[:, in_group[0]] if transposed else tensor[first])


def _rescaled(kept: Tensor, whole: Tensor) -> Tensor:
    """Scale the kept weights to the norm of all: otherwise features shrink from layer to layer of a deep network."""
    norm = kept.norm()
    return kept * (whole.norm() / norm) if norm > 0 else kept


def _kept(old: int, new: int, features: Features | None, concatenated: bool) -> Tensor:
    """Return (new,) the indices of the kept channels among `old`."""
    if old == new or features is None:
        return torch.arange(new)
    times, rest = divmod(old, features.count)
    if old in features.nested:
        return features.kept[:new]
    if rest:
        return torch.arange(new)
    if concatenated:
        return (torch.arange(times)[:, None] * features.count + features.kept).flatten()
    return (features.kept[:, None] * times + torch.arange(times)).flatten()


def _groups(module: nn.Module) -> int:
    """Return the groups of a convolution; 1 for a depthwise one, whose second axis does not hold feature channels."""
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return 1
    is_depthwise = module.groups == module.in_channels == module.out_channels
    return 1 if is_depthwise else module.groups


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and buffers of the module itself; for a parametrized one (e.g. masked), the original."""
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)
    for name, computed in _parametrization_lists(module).items():
        yield name, computed.original


def _type(module: nn.Module) -> type:
    """Return the class before parametrization if every parametrization has one original tensor, otherwise the class."""
    if all(computed.is_tensor for computed in _parametrization_lists(module).values()):
        return parametrize.type_before_parametrizations(module)
    return type(module)


def _children(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Return the children by name, without the parametrizations."""
    return ((name, child) for name, child in module.named_children() if child is not _parametrizations(module))


def _parametrization_lists(module: nn.Module) -> dict[str, parametrize.ParametrizationList]:
    """Return the parametrizations of the module by tensor name."""
    return dict(_parametrizations(module) or {})  # type: ignore[arg-type]  # it holds nothing else


def _parametrizations(module: nn.Module) -> nn.Module | None:
    return module.get_submodule("parametrizations") if parametrize.is_parametrized(module) else None
