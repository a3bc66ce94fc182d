"""DnCNN: a plain stack of convolutions that predicts the noise (Zhang et al., IEEE TIP 2017)."""

from __future__ import annotations

from itertools import chain

from torch import Tensor, nn

from lowvision import EarlyExit
from lowvision.layers import init_kaiming_, init_near_zero_, init_zero_mean_


class Network(nn.Module, EarlyExit):
    """The network: (B,colours,h,w) with noise -> (B,colours,h,w) without."""

    def __init__(self, *, colours: int, channels: int, layers: int, batch_norm: bool):
        super().__init__()
        self.parts = 3 if batch_norm else 2
        inner = (_inner(channels, batch_norm) for _ in range(layers - 2))
        first, last = nn.Conv2d(colours, channels, 3, padding=1), nn.Conv2d(channels, colours, 3, padding=1)
        self.noise = nn.Sequential(first, nn.ReLU(inplace=True), *chain.from_iterable(inner), last)
        init_kaiming_(self)
        # The network starts as the identity, and its first steps learn noise rather than brightness.
        init_zero_mean_(first)
        init_near_zero_(last)

    def forward(self, lq: Tensor) -> Tensor:
        return lq - self.noise(lq)

    def forward_stem(self, lq: Tensor) -> tuple[Tensor, ...]:
        first, activation = self.noise[:2]
        return (activation(first(lq)),)  # (B, channels, h, w)

    def forward_block(self, state: tuple[Tensor, ...], block: int) -> tuple[Tensor, ...]:
        (features,) = state
        for module in self.noise[2 + self.parts * block : 2 + self.parts * (block + 1)]:
            features = module(features)
        return (features,)

    def forward_head(self, state: tuple[Tensor, ...], lq: Tensor) -> Tensor:
        return lq - self.noise[-1](state[0])


def _inner(channels: int, batch_norm: bool) -> list[nn.Module]:
    """Build one inner layer, without a bias before BatchNorm, which would subtract it again."""
    norm = [nn.BatchNorm2d(channels)] if batch_norm else []
    return [nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm), *norm, nn.ReLU(inplace=True)]
