"""Operating points: settings of an adaptive network at several costs, kept in its weights file."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from pydantic import Field
from torch import Tensor, nn

from lowvision.config.options import Options
from lowvision.imaging.metrics import psnr
from lowvision.plugins.contracts import Adaptive
from lowvision.routing.cost import multiply_adds

BATCH = 16
"""Tiles per forward pass."""


class OperatingPoint(Options):
    """The settings of `Adaptive.set_budget` for one cost, and their cost and loss on the same tiles."""

    share: float = Field(ge=0)
    """Multiply-adds as a fraction of those of the static graph, on average over tiles."""
    loss: float
    """Loss of PSNR in dB against the static graph, on average over tiles; negative if it is better."""
    state: Mapping[str, tuple[float, ...]]
    """Values of the tensors that were set, by their names in the network."""

    @classmethod
    def of(cls, network: nn.Module, share: float, lq: Tensor, gt: Tensor) -> Self:
        """Find the operating point for a cost on tiles lq (N,C,h,w) and gt (N,C,s*h,s*w) in [0,1]; keep the network."""
        adapted = copy.deepcopy(network)
        assert isinstance(adapted, Adaptive)
        adapted.set_budget(share, lq, gt)
        before, after = network.state_dict(), adapted.state_dict()
        changed = {name: tensor for name, tensor in after.items() if not torch.equal(tensor, before[name])}
        costs, losses = _measured(network, adapted, lq, gt)
        static_cost = multiply_adds(network, (1, *lq.shape[1:]))
        return cls(
            share=float(costs.cpu().double().mean()) / static_cost,
            loss=float(losses.cpu().double().mean()),
            state={name: tuple(tensor.flatten().tolist()) for name, tensor in changed.items()},
        )

    @torch.no_grad()
    def apply(self, network: nn.Module) -> None:
        """Set a network with the same weights to this operating point."""
        state = network.state_dict()  # shares its tensors with the network
        for name, values in self.state.items():
            state[name].copy_(torch.tensor(values, dtype=state[name].dtype).view_as(state[name]))


@torch.inference_mode()
def _measured(static: nn.Module, adaptive: Adaptive, lq: Tensor, gt: Tensor) -> tuple[Tensor, Tensor]:
    """Return the multiply-adds of each tile (N,), and its loss of PSNR in dB (N,)."""
    costs, losses = [], []
    for tiles, truth in zip(lq.split(BATCH), gt.split(BATCH), strict=True):
        images, tile_costs = adaptive.adapt(tiles)
        costs.append(tile_costs)
        losses.append(psnr(static(tiles), truth) - psnr(images, truth))
    return torch.cat(costs), torch.cat(losses)


def distinct(settings: Sequence[OperatingPoint]) -> tuple[OperatingPoint, ...]:
    """Return the settings without duplicates, which result from costs that cannot be reached."""
    return tuple(setting for n, setting in enumerate(settings) if setting not in settings[:n])


def within(settings: Sequence[OperatingPoint], share: float) -> int:
    """Return the index of the most expensive setting that costs at most `share`; if none does, of the cheapest."""
    affordable = [n for n, setting in enumerate(settings) if setting.share <= share]
    if not affordable:
        return min(range(len(settings)), key=lambda n: settings[n].share)
    return max(affordable, key=lambda n: settings[n].share)


def losing(settings: Sequence[OperatingPoint], max_loss: float) -> int:
    """Return the index of the cheapest setting with a loss of at most `max_loss` dB. Raises ValueError if none has."""
    acceptable = [n for n, setting in enumerate(settings) if setting.loss <= max_loss]
    if not acceptable:
        least = min(setting.loss for setting in settings)
        raise ValueError(f"the smallest loss of these weights is {least:.3f} dB; allow at least that")
    return min(acceptable, key=lambda n: settings[n].share)
