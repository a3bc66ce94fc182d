"""Hands the weights of a trained network down to a smaller one: slices of its channels, some of its layers.

Nothing is known of either network but its modules, and two conventions of image networks: a convolution that reads a
multiple of the features reads them concatenated, and one that makes a multiple of them makes them for a pixel shuffle.
A network that works on nested ranges of its features says so by `lowvision.layers.Leading`.
Which channels stay follows from their weights (after Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017).
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


def hand_down(larger: nn.Module, smaller: nn.Module) -> bool:
    """Set the weights of `smaller` to slices of those of `larger`; False, and nothing set, where they do not match.

    Both are of one kind: the same modules by name, with fewer channels, fewer entries in their lists, or both. Of a
    longer list the entries that fit are taken from the front.
    """
    features = _features(larger, smaller)
    pairs = _matched(larger, smaller, features)
    if pairs is None:
        return False
    with torch.no_grad():
        for large, small in pairs:
            for name, tensor in _own(small):
                tensor.copy_(_slice(large, name, tensor, features))
    return True


@dataclass(frozen=True)
class Features:
    """The channels that run through a network: how many there were, and which stay."""

    count: int
    kept: Tensor
    """(C',) ascending."""
    nested: frozenset[int] = frozenset()
    """Numbers of leading channels that parts of the network work on alone."""


def _features(larger: nn.Module, smaller: nn.Module) -> Features | None:
    """The strongest channels, equally many of every group, or as many of every nested range as `smaller` has.

    None if both have equally many, or if a range of `smaller` is no part of the one of `larger`.
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
    """Where the ranges of leading channels begin and end, from 0 to `count`; empty if there are none."""
    widths = {m.width for m in network.modules() if isinstance(m, Leading) and m.width < count}
    return sorted({0, *widths, count}) if widths else []


def _groupwise(larger: nn.Module, old: int, new: int) -> tuple[list[int], list[int]]:
    """Where the groups of channels begin and end in both networks."""
    groups = max((_groups(m) for m in larger.modules()), default=1)
    if old % groups or new % groups:
        groups = 1
    return [k * old // groups for k in range(groups + 1)], [k * new // groups for k in range(groups + 1)]


def _width(network: nn.Module) -> int:
    """The channels that the first convolution makes."""
    return next((m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)), 0)


def _strength(network: nn.Module, count: int, nested: list[int]) -> Tensor:
    """(C,) the squared weights that read each channel, over all convolutions."""
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


def _matched(
    larger: nn.Module, smaller: nn.Module, features: Features | None
) -> list[tuple[nn.Module, nn.Module]] | None:
    """Each module of `smaller` with the one of `larger` that it descends from; None where one has none."""
    if _kind(larger) is not _kind(smaller) or not _fits(larger, smaller, features):
        return None
    pairs = [(larger, smaller)]
    candidates = iter([child for _, child in _children(larger)])
    for name, child in _children(smaller):
        if not isinstance(smaller, LISTS):
            candidates = iter([c for n, c in _children(larger) if n == name])
        matched = next((m for c in candidates if (m := _matched(c, child, features)) is not None), None)
        if matched is None:
            return None
        pairs += matched
    return pairs


def _fits(large: nn.Module, small: nn.Module, features: Features | None) -> bool:
    """Whether every parameter and buffer of `small` itself can be sliced from that of `large`."""
    if _groups(large) != _groups(small):
        return False
    theirs = dict(_own(large))
    for name, tensor in _own(small):
        source = theirs.get(name)
        if source is None or source.dim() != tensor.dim() or source.shape[2:] != tensor.shape[2:]:
            return False
        sizes = zip(_sizes(large, source), _sizes(small, tensor), strict=True)
        if not all(_shrinks(old, new, features) for old, new in sizes):
            return False
    return True


def _sizes(module: nn.Module, tensor: Tensor) -> tuple[int, ...]:
    """The channels along the first two axes, those of all groups together."""
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
    """The part of the larger module's tensor `name` that has the shape of `like`."""
    tensor = dict(_own(large))[name]
    groups = _groups(large)
    transposed = isinstance(large, nn.ConvTranspose2d)
    if tensor.dim() == 0:
        return tensor
    # A transposed convolution keeps its inputs first.
    first = _kept(len(tensor), len(like), features, concatenated=transposed and tensor.dim() > 1)
    if tensor.dim() == 1:
        return tensor[first]
    second = _kept(tensor.shape[1] * groups, like.shape[1] * groups, features, concatenated=not transposed)
    # Along the second axis a group counts its own channels only.
    own = (second % tensor.shape[1]).view(groups, -1)  # (G, kept of each group)
    group = torch.arange(len(first)) // (len(first) // groups)  # (kept,)
    kept = tensor[first[:, None], own[group]]
    if not isinstance(large, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        return kept  # it scales, or normalizes, and sums nothing
    return _as_strong(kept, tensor[:, own[0]] if transposed else tensor[first])


def _as_strong(kept: Tensor, whole: Tensor) -> Tensor:
    """A part of weights, scaled to the norm of all: else the features of a deep stack fade from layer to layer."""
    norm = kept.norm()
    return kept * (whole.norm() / norm) if norm > 0 else kept


def _kept(old: int, new: int, features: Features | None, concatenated: bool) -> Tensor:
    """(new,) which of `old` channels stay."""
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
    """Its groups; 1 for a depthwise convolution, whose second axis is no channels of the features."""
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return 1
    is_depthwise = module.groups == module.in_channels == module.out_channels
    return 1 if is_depthwise else module.groups


def _own(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers of the module itself; what is learned of one that torch computes, as by a mask."""
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)
    for name, computed in _computed(module).items():
        yield name, computed.original


def _kind(module: nn.Module) -> type:
    """Its class; where every computed tensor is made of one alone, the class that it had before it was parametrized."""
    if all(computed.is_tensor for computed in _computed(module).values()):
        return parametrize.type_before_parametrizations(module)
    return type(module)


def _children(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Its children by name, without those that compute a tensor of its own."""
    return ((name, child) for name, child in module.named_children() if child is not _parametrizations(module))


def _computed(module: nn.Module) -> dict[str, parametrize.ParametrizationList]:
    """What computes a tensor of the module, by the tensor's name."""
    return dict(_parametrizations(module) or {})  # type: ignore[arg-type]  # torch keeps nothing else there


def _parametrizations(module: nn.Module) -> nn.Module | None:
    return module.get_submodule("parametrizations") if parametrize.is_parametrized(module) else None
