"""The network of PCSR: a body, and a heavy or a light upsampler for every pixel of the enlarged image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lowvision import Adaptive, Skip, cost_weight_within, multiply_adds
from lowvision.layers import HOURGLASS_SLOPE, add_skip, hourglass, init_kaiming_, init_zero_mean_
from lowvision_pixel.perceptron import Perceptron

FAINT = 1e-3
"""Standard deviation of the last layers' weights: the network starts at the interpolation."""
UNASKED = 1e4
"""What the heavy upsampler's logit has more while the classifier has not learned."""
AT_A_TIME = 16


class Network(nn.Module, Adaptive):
    """(B,colours,h,w) -> (B,colours,h*scale,w*scale), everything computed; `adapt` computes for a pixel what it needs.

    Both take for each pixel the upsampler that the classifier says; before it has learned, the heavy one.
    """

    unasked: Tensor
    """(), whether the classifier is not asked yet: a truth value, which no moving average blurs."""
    k: Tensor
    """(), how much `adapt` weighs what upsamplers cost; 0 as trained."""

    def __init__(
        self,
        *,
        colours: int,
        scale: int,
        channels: int,
        shrink: int,
        layers: int,
        heavy: Sequence[int],
        light: Sequence[int],
        classifier: Sequence[int],
        skip: Skip,
    ):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.body = hourglass(colours, channels, shrink, layers)
        self.heavy = Perceptron(channels, heavy, colours, scale)
        self.light = Perceptron(channels, light, colours, scale)
        self.classifier = Perceptron(channels, classifier, 2, scale)
        init_kaiming_(self.body, HOURGLASS_SLOPE)
        if skip != "none":
            init_zero_mean_(self.body[0])  # type: ignore[arg-type]  # a convolution
        for part in (self.heavy, self.light, self.classifier):
            nn.init.normal_(part.last.weight, std=FAINT)
        self.register_buffer("unasked", torch.tensor(True))
        self.register_buffer("k", torch.zeros(()))
        self._counted: dict[tuple[int, ...], Prices] = {}

    def forward(self, lq: Tensor) -> Tensor:
        features = self.features(lq)
        logits = self.logits(features)
        light, heavy = (part.at_all(part.enter(features)) for part in (self.light, self.heavy))
        chosen = torch.where(logits[..., 1:] > logits[..., :1], heavy, light)  # (B, h, w, scale^2, colours)
        return self.image(chosen, lq)

    def all_by(self, upsampler: Perceptron, lq: Tensor) -> Tensor:
        """The image that one of the upsamplers makes alone."""
        return self.image(upsampler.at_all(upsampler.enter(self.features(lq))), lq)

    def features(self, lq: Tensor) -> Tensor:
        """(B,colours,h,w) -> (B,h,w,channels)."""
        return self.body(lq).permute(0, 2, 3, 1)

    def logits(self, features: Tensor) -> Tensor:
        """(B,h,w,channels) -> (B,h,w,scale^2,2): light and heavy, of every pixel of the enlarged image."""
        logits = self.classifier.at_all(self.classifier.enter(features))
        return torch.cat([logits[..., :1], logits[..., 1:] + UNASKED * self.unasked], dim=-1)

    def image(self, pixels: Tensor, lq: Tensor) -> Tensor:
        """(B,h,w,scale^2,colours) -> (B,colours,h*scale,w*scale), with the skip."""
        across = pixels.unflatten(3, (self.scale, self.scale)).permute(0, 5, 1, 3, 2, 4)  # (B, colours, h, s, w, s)
        return add_skip(across.flatten(4, 5).flatten(2, 3), lq, self.scale, self.skip)

    def prices(self, tile: Sequence[int]) -> Prices:
        """Multiply-adds on one tile of that shape (C,h,w)."""
        shape = tuple(tile)
        if shape not in self._counted:
            light, heavy = (
                multiply_adds(part.rest, (1, part.features.out_features)) for part in (self.light, self.heavy)
            )
            pixels = self.scale**2 * shape[1] * shape[2]
            fixed = multiply_adds(self, (1, *shape)) - pixels * (light + heavy)
            self._counted[shape] = Prices(fixed, light, heavy, pixels)
        return self._counted[shape]

    @torch.no_grad()
    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        prices = self.prices(tiles.shape[1:])
        features = self.features(tiles)
        logits = self.logits(features)
        gain = prices.gain.to(logits.device, logits.dtype)
        wants_heavy = logits[..., 1] - logits[..., 0] > self.k * gain  # (B, h, w, scale^2)
        entered = [part.enter(features).flatten(0, 2) for part in (self.light, self.heavy)]
        pixels = tiles.new_empty(*wants_heavy.shape, tiles.shape[1])
        flat = pixels.view(-1, tiles.shape[1])
        for part, known, wanted in zip((self.light, self.heavy), entered, (~wants_heavy, wants_heavy), strict=True):
            chosen = wanted.flatten().nonzero().flatten()
            flat[chosen] = part.at(known, chosen // self.scale**2, chosen % self.scale**2)
        dear = wants_heavy.flatten(1).sum(dim=1)
        return self.image(pixels, tiles), prices.fixed + prices.heavy * dear + prices.light * (prices.pixels - dear)

    @torch.no_grad()
    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        prices = self.prices(lq.shape[1:])
        logits = torch.cat([self.logits(self.features(some)).flatten(0, 3) for some in lq.split(AT_A_TIME)])
        # A float32 k weighs float32 logits: the comparison that is solved is the one that is made.
        scores = torch.stack([torch.zeros(len(logits)), (logits[:, 1] - logits[:, 0]).cpu()], dim=1)
        cost_weight = torch.stack([torch.zeros(()), prices.gain]).double().numpy()
        costs = torch.tensor([prices.light, prices.heavy]).numpy()
        left = share * prices.forward - prices.fixed
        self.k.fill_(cost_weight_within(left * len(lq), scores.double().numpy(), cost_weight, costs))


@dataclass(frozen=True)
class Prices:
    """What a tile costs, in multiply-adds."""

    fixed: int
    """Body, classifier, and what upsamplers make of the features of LQ pixels, before they are asked for places."""
    light: int
    """One pixel."""
    heavy: int
    """One pixel."""
    pixels: int
    """How many the enlarged tile has."""

    @property
    def forward(self) -> int:
        """Both upsamplers at every pixel."""
        return self.fixed + self.pixels * (self.light + self.heavy)

    @property
    def gain(self) -> Tensor:
        """(), the logarithm of what a tile costs all heavy over what it costs all light, as the paper weighs them."""
        light, heavy = (self.fixed + self.pixels * price for price in (self.light, self.heavy))
        return torch.tensor(heavy / light).log()
