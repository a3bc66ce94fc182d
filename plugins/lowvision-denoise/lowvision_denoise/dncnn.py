"""DnCNN: a plain stack of convolutions that predicts the noise (Zhang et al., IEEE TIP 2017)."""

from __future__ import annotations

from itertools import chain

from torch import Tensor, nn

from lowvision import Leavable
from lowvision.layers import faint, kaiming, look_for_detail


class Network(nn.Module, Leavable):
    """(B,colours,h,w) with noise -> (B,colours,h,w) without."""

    def __init__(self, *, colours: int, channels: int, layers: int, batch_norm: bool):
        super().__init__()
        self.parts = 3 if batch_norm else 2
        inner = (_inner(channels, batch_norm) for _ in range(layers - 2))
        first, last = nn.Conv2d(colours, channels, 3, padding=1), nn.Conv2d(channels, colours, 3, padding=1)
        self.noise = nn.Sequential(first, nn.ReLU(inplace=True), *chain.from_iterable(inner), last)
        kaiming(self)
        # It starts as the identity, and its first steps learn noise rather than brightness.
        look_for_detail(first)
        faint(last)

    def forward(self, lq: Tensor) -> Tensor:
        return lq - self.noise(lq)

    def enter(self, lq: Tensor) -> tuple[Tensor, ...]:
        first, activation = self.noise[:2]
        return (activation(first(lq)),)  # (B, channels, h, w)

    def advance(self, state: tuple[Tensor, ...], block: int) -> tuple[Tensor, ...]:
        (features,) = state
        for module in self.noise[2 + self.parts * block : 2 + self.parts * (block + 1)]:
            features = module(features)
        return (features,)

    def leave(self, state: tuple[Tensor, ...], lq: Tensor) -> Tensor:
        return lq - self.noise[-1](state[0])


def _inner(channels: int, batch_norm: bool) -> list[nn.Module]:
    """One inner layer; a bias before BatchNorm would be subtracted again, so there is none."""
    norm = [nn.BatchNorm2d(channels)] if batch_norm else []
    return [nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm), *norm, nn.ReLU(inplace=True)]
