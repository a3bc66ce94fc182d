"""SMSR: the whole network (Wang et al., Exploring Sparsity in Image Super-Resolution, CVPR 2021).

`forward` computes everything and applies the masks; `adapt` computes only what the masks keep, with the same result.
Instead of a 1x1 convolution of concatenated parts, each part has its own convolution and the results are added.
"""

from __future__ import annotations

from math import pi, tan

import torch
from torch import Tensor, nn

from lowvision import Adaptive, Skip, multiply_adds
from lowvision.layers import MeanShift, SplitConv, add_skip, init_kaiming_, init_near_zero_, init_zero_mean_
from lowvision_smsr import sparse
from lowvision_smsr.masks import hard
from lowvision_smsr.modules import SparseModule

BATCH_SIZE = 16
"""Tiles per batch while a budget is set."""
MAX_STEPS = 30
"""Largest number of bisection steps."""
ALL = 1e9
"""Offset at which every position is marked; at -ALL none is."""
TOLERANCE = 0.002
"""Relative distance from the budget at which the bisection stops."""


class Network(nn.Module, Adaptive):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    tau: Tensor
    offset: Tensor
    """(), added to the logit of "marked", only in `adapt`."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self._dense: dict[torch.Size, int] = {}
        self._prepared: tuple[tuple[object, ...], list[sparse.Prepared]] | None = None
        self.register_buffer("tau", torch.ones(()))
        self.register_buffer("offset", torch.zeros(()))
        self.mean = MeanShift(colours)
        self.head = nn.Sequential(
            nn.Conv2d(colours, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.body = nn.ModuleList(SparseModule(channels) for _ in range(layers))
        self.collect = SplitConv([channels] * layers, channels)
        self.activation = nn.ReLU(inplace=True)
        self.collect_end = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, colours * scale**2, 3, padding=1)
        self.enlarge = nn.PixelShuffle(scale)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self)
        for module in self.modules_of_body():
            module.scale_residual_()
        self.collect.share_variance()
        init_near_zero_(self.last)
        if self.skip != "none":
            first = self.head[0]
            assert isinstance(first, nn.Conv2d)
            init_zero_mean_(first)

    def modules_of_body(self) -> list[SparseModule]:
        """Return the sparse mask modules in order."""
        return [module for module in self.body if isinstance(module, SparseModule)]

    def forward(self, lq: Tensor) -> Tensor:
        if self.training:
            return self.learn(lq)[0]
        features = shallow = self.head(self.mean.sub(lq))  # (B, C, h, w)
        seen = []
        for module in self.body:
            features = module(features)
            seen.append(features)
        return self._image(lq, shallow, seen)

    def learn(self, lq: Tensor, tau: float | None = None) -> tuple[Tensor, Tensor]:
        """Return the image with soft masks, and the fraction they keep; tau: by default the last temperature."""
        if tau is not None:
            self.tau.fill_(tau)
        current_tau = self.tau.clone()  # a later fill_ must not change the graph of a pending backward pass
        features = shallow = self.head(self.mean.sub(lq))
        seen, shares = [], []
        for module in self.modules_of_body():
            features, kept = module.learn(features, current_tau)
            seen.append(features)
            shares.append(kept)
        return self._image(lq, shallow, seen), torch.stack(shares).mean()

    @torch.no_grad()
    def adapt(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        features = shallow = self.head(self.mean.sub(tiles))
        seen = []
        spent = torch.full((len(tiles),), self._dense_cost(tiles), device=tiles.device)
        for module, prepared in zip(self.modules_of_body(), self._split_weights(), strict=True):
            marked = hard(module.mask(features), 1, self.offset)  # (B, 1, h, w)
            features = sparse.run(module, prepared, features, marked)
            seen.append(features)
            spent -= prepared.saving * (~marked).flatten(1).sum(dim=1)
        return self._image(tiles, shallow, seen), spent

    def _split_weights(self) -> list[sparse.Prepared]:
        """Return the split weights of every module; recompute them only after one of them was changed or moved."""
        parameters = list(self.body.parameters())
        state = tuple((id(p), p.data_ptr(), None if p.is_inference() else p._version) for p in parameters)
        if self._prepared is None or self._prepared[0] != state:
            self._prepared = state, [sparse.Prepared.of(module) for module in self.modules_of_body()]
        return self._prepared[1]

    def __getstate__(self) -> dict[str, object]:
        """Return the state for copies, without the split weights: their parameters are others."""
        return {**self.__dict__, "_prepared": None}

    def set_budget(self, share: float, lq: Tensor, gt: Tensor) -> None:
        allowed = share * self._dense_cost(lq)
        if share >= 1:
            self.offset.fill_(ALL)
            return
        if self._mean_cost(-ALL, lq) > allowed:
            return
        # Bisection over an angle: -90 degrees marks no position, 90 degrees all.
        low, high = -pi / 2, pi / 2
        for _ in range(MAX_STEPS):
            middle = (low + high) / 2
            spent = self._mean_cost(tan(middle), lq)
            low, high = (middle, high) if spent <= allowed else (low, middle)
            if 0 <= allowed - spent <= TOLERANCE * allowed:
                break
        self.offset.fill_(tan(low))

    def _image(self, lq: Tensor, shallow: Tensor, seen: list[Tensor]) -> Tensor:
        features = shallow + self.collect_end(self.activation(self.collect(seen)))
        image = self.enlarge(self.last(features))  # (B, colours, h*scale, w*scale)
        return self.mean.add(add_skip(image, self.mean.sub(lq), self.scale, self.skip))

    def _dense_cost(self, tiles: Tensor) -> int:
        """Return the multiply-adds of `forward` on one tile."""
        size = tiles.shape[-2:]
        if size not in self._dense:
            self._dense[size] = multiply_adds(self, (1, *tiles.shape[1:]))
        return self._dense[size]

    def _mean_cost(self, offset: float, lq: Tensor) -> float:
        """Set the offset; return the mean multiply-adds of `adapt` per tile."""
        self.offset.fill_(offset)
        return torch.cat([self.adapt(part)[1] for part in lq.split(BATCH_SIZE)]).cpu().double().mean().item()
