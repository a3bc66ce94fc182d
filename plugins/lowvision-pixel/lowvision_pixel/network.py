"""The network of PCSR: a body, and a heavy or a light upsampler per output pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lowvision import Adaptive, Skip, cost_weight_within, multiply_adds
from lowvision.layers import HOURGLASS_SLOPE, add_skip, hourglass, init_kaiming_, init_zero_mean_
from lowvision_pixel.perceptron import Perceptron

INITIAL_STD = 1e-3
"""Standard deviation of the last layers' initial weights: the network starts at the interpolation."""
HEAVY_BIAS = 1e4
"""Added to the heavy upsampler's logit while the classifier is untrained."""
BATCH_SIZE = 16
"""Tiles per batch while a budget is set."""


class Network(nn.Module, Adaptive):
    """PCSR network (B,colours,h,w) -> (B,colours,h*scale,w*scale): a body, a classifier and two upsamplers.

    `forward` computes both upsamplers at every pixel, `adapt` only the selected one. The classifier selects it; while
    the classifier is untrained, the heavy upsampler is used.
    """

    unasked: Tensor
    """(), True while the classifier is untrained; a boolean, which a moving average of weights does not blur."""
    k: Tensor
    """(), weight of the cost in `adapt`; 0 after training."""

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
            nn.init.normal_(part.last.weight, std=INITIAL_STD)
        self.register_buffer("unasked", torch.tensor(True))
        self.register_buffer("k", torch.zeros(()))
        self._counted: dict[tuple[int, ...], Costs] = {}

    def forward(self, lq: Tensor) -> Tensor:
        features = self.features(lq)
        logits = self.logits(features)
        light, heavy = (part.at_all(part.enter(features)) for part in (self.light, self.heavy))
        selected = torch.where(logits[..., 1:] > logits[..., :1], heavy, light)  # (B, h, w, scale^2, colours)
        return self.image(selected, lq)

    def all_by(self, upsampler: Perceptron, lq: Tensor) -> Tensor:
        """Return the image computed by one of the upsamplers only."""
        return self.image(upsampler.at_all(upsampler.enter(self.features(lq))), lq)

    def features(self, lq: Tensor) -> Tensor:
        """Compute the features (B,h,w,channels) of lq (B,colours,h,w)."""
        return self.body(lq).permute(0, 2, 3, 1)

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits (B,h,w,scale^2,2) of light and heavy per output pixel, from features (B,h,w,channels)."""
        logits = self.classifier.at_all(self.classifier.enter(features))
        return torch.cat([logits[..., :1], logits[..., 1:] + HEAVY_BIAS * self.unasked], dim=-1)

    def image(self, pixels: Tensor, lq: Tensor) -> Tensor:
        """Arrange output pixels (B,h,w,scale^2,colours) to images (B,colours,h*scale,w*scale), and add the skip."""
        across = pixels.unflatten(3, (self.scale, self.scale)).permute(0, 5, 1, 3, 2, 4)  # (B, colours, h, s, w, s)
        return add_skip(across.flatten(4, 5).flatten(2, 3), lq, self.scale, self.skip)

    def costs(self, tile: Sequence[int]) -> Costs:
        """Return the multiply-adds on one tile of shape (C,h,w)."""
        shape = tuple(tile)
        if shape not in self._counted:
            light, heavy = (
                multiply_adds(part.rest, (1, part.features.out_features)) for part in (self.light, self.heavy)
            )
            pixels = self.scale**2 * shape[1] * shape[2]
            fixed = multiply_adds(self, (1, *shape)) - pixels * (light + heavy)
            self._counted[shape] = Costs(fixed, light, heavy, pixels)
        return self._counted[shape]

    @torch.no_grad()
    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        costs = self.costs(tiles.shape[1:])
        features = self.features(tiles)
        logits = self.logits(features)
        gain = costs.gain.to(logits.device, logits.dtype)
        is_heavy = logits[..., 1] - logits[..., 0] > self.k * gain  # (B, h, w, scale^2)
        entered = [part.enter(features).flatten(0, 2) for part in (self.light, self.heavy)]
        pixels = tiles.new_empty(*is_heavy.shape, tiles.shape[1])
        flat = pixels.view(-1, tiles.shape[1])
        for part, hidden, mask in zip((self.light, self.heavy), entered, (~is_heavy, is_heavy), strict=True):
            rows = mask.flatten().nonzero().flatten()
            flat[rows] = part.at(hidden, rows // self.scale**2, rows % self.scale**2)
        heavy = is_heavy.flatten(1).sum(dim=1)
        return self.image(pixels, tiles), costs.fixed + costs.heavy * heavy + costs.light * (costs.pixels - heavy)

    @torch.no_grad()
    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        costs = self.costs(lq.shape[1:])
        logits = torch.cat([self.logits(self.features(batch)).flatten(0, 3) for batch in lq.split(BATCH_SIZE)])
        # k and logits are float32 here as in `adapt`, so that both make the same comparison.
        scores = torch.stack([torch.zeros(len(logits)), (logits[:, 1] - logits[:, 0]).cpu()], dim=1)
        cost_weight = torch.stack([torch.zeros(()), costs.gain]).double().numpy()
        upsamplers = torch.tensor([costs.light, costs.heavy]).numpy()
        available = share * costs.forward - costs.fixed
        self.k.fill_(cost_weight_within(available * len(lq), scores.double().numpy(), cost_weight, upsamplers))


@dataclass(frozen=True)
class Costs:
    """Multiply-adds of a tile."""

    fixed: int
    """Body, classifier, and first layers of the upsamplers."""
    light: int
    """Light upsampler, per output pixel."""
    heavy: int
    """Heavy upsampler, per output pixel."""
    pixels: int
    """Number of output pixels."""

    @property
    def forward(self) -> int:
        """Cost of both upsamplers at every pixel."""
        return self.fixed + self.pixels * (self.light + self.heavy)

    @property
    def gain(self) -> Tensor:
        """Logarithm of the ratio of the costs with all pixels heavy and with all light, as in the paper."""
        light, heavy = (self.fixed + self.pixels * each for each in (self.light, self.heavy))
        return torch.tensor(heavy / light).log()
