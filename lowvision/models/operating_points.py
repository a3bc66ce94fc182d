"""What a network that decides by itself is set to, at several shares of its cost; kept in its weights file."""

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

AT_A_TIME = 16
"""Tiles that are looked at together."""


class OperatingPoint(Options):
    """What `Adaptive.set_budget` set for one share, and what came of it on the tiles that it was set on."""

    share: float = Field(ge=0)
    """What is spent, in the mean over tiles, of the multiply-adds of the static graph on them."""
    loss: float
    """How many dB of PSNR are lost against the static graph, in the mean over tiles; below 0 where it is better."""
    state: Mapping[str, tuple[float, ...]]
    """The tensors that were set, by their names in the network."""

    @classmethod
    def of(cls, network: nn.Module, share: float, lq: Tensor, gt: Tensor) -> Self:
        """For a share, found on tiles lq (N,C,h,w) and gt (N,C,s*h,s*w) in [0,1]; the network stays as it is."""
        other = copy.deepcopy(network)
        assert isinstance(other, Adaptive)
        other.set_budget(share, lq, gt)
        before, after = network.state_dict(), other.state_dict()
        changed = {name: tensor for name, tensor in after.items() if not torch.equal(tensor, before[name])}
        spent, lost = _measured(network, other, lq, gt)
        whole = multiply_adds(network, (1, *lq.shape[1:]))
        return cls(
            share=float(spent.cpu().double().mean()) / whole,
            loss=float(lost.cpu().double().mean()),
            state={name: tuple(tensor.flatten().tolist()) for name, tensor in changed.items()},
        )

    @torch.no_grad()
    def apply(self, network: nn.Module) -> None:
        """Set a network that has the weights it was found with."""
        state = network.state_dict()  # its tensors are the network's own
        for name, values in self.state.items():
            state[name].copy_(torch.tensor(values, dtype=state[name].dtype).view_as(state[name]))


@torch.inference_mode()
def _measured(static: nn.Module, adaptive: Adaptive, lq: Tensor, gt: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) what was spent on each tile, and how many dB it has lost."""
    spent, lost = [], []
    for some, truth in zip(lq.split(AT_A_TIME), gt.split(AT_A_TIME), strict=True):
        images, own = adaptive.adapt(some)
        spent.append(own)
        lost.append(psnr(static(some), truth) - psnr(images, truth))
    return torch.cat(spent), torch.cat(lost)


def distinct(settings: Sequence[OperatingPoint]) -> tuple[OperatingPoint, ...]:
    """Without those that another one equals: shares that cannot be met are set to the least there is, or the next."""
    return tuple(setting for n, setting in enumerate(settings) if setting not in settings[:n])


def within(settings: Sequence[OperatingPoint], share: float) -> int:
    """The number of the dearest that spends at most that share; where none does, of the cheapest."""
    affordable = [n for n, setting in enumerate(settings) if setting.share <= share]
    if not affordable:
        return min(range(len(settings)), key=lambda n: settings[n].share)
    return max(affordable, key=lambda n: settings[n].share)


def losing(settings: Sequence[OperatingPoint], max_loss: float) -> int:
    """The number of the cheapest that loses at most so many dB. Raises ValueError where none does."""
    kept = [n for n, setting in enumerate(settings) if setting.loss <= max_loss]
    if not kept:
        least = min(setting.loss for setting in settings)
        raise ValueError(f"the least that was lost on data.valid is {least:.3f} dB; ask for no less")
    return min(kept, key=lambda n: settings[n].share)
