"""DnCNN: a plain stack of convolutions that predicts the noise (Zhang et al., IEEE TIP 2017)."""

from __future__ import annotations

from itertools import chain

from torch import Tensor, nn

FAINT = 1e-3


class Network(nn.Module):
    """(B,colours,h,w) with noise -> (B,colours,h,w) without."""

    def __init__(self, *, colours: int, channels: int, layers: int, batch_norm: bool):
        super().__init__()
        inner = (_inner(channels, batch_norm) for _ in range(layers - 2))
        self.noise = nn.Sequential(
            nn.Conv2d(colours, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            *chain.from_iterable(inner),
            nn.Conv2d(channels, colours, 3, padding=1),
        )
        self._initialise()

    def _initialise(self) -> None:
        """Kaiming's weights, zero biases, and a last layer so faint that the network starts as the identity."""
        convolutions = [module for module in self.noise if isinstance(module, nn.Conv2d)]
        for convolution in convolutions:
            nn.init.kaiming_normal_(convolution.weight)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
        nn.init.normal_(convolutions[-1].weight, std=FAINT)

    def forward(self, lq: Tensor) -> Tensor:
        return lq - self.noise(lq)


def _inner(channels: int, batch_norm: bool) -> list[nn.Module]:
    """One inner layer; a bias before BatchNorm would be subtracted again, so there is none."""
    norm = [nn.BatchNorm2d(channels)] if batch_norm else []
    return [nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm), *norm, nn.ReLU(inplace=True)]
