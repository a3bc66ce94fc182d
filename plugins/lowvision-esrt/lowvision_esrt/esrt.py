"""ESRT: the whole network (Lu, Li, Liu, Huang, Zhang, Zeng, Transformer for Single Image Super-Resolution, CVPRW 2022).

Instead of one convolution of the concatenated block outputs, each block has its own convolution and the results are
added: weights and sums are equal, and a network of fewer channels or blocks can inherit slices.
"""

from __future__ import annotations

from torch import Tensor, nn

from lowvision import Skip
from lowvision.layers import (
    SplitConv,
    add_skip,
    init_kaiming_,
    init_near_zero_,
    init_zero_mean_,
    scale_residual_,
    upsampler,
)
from lowvision_esrt.blocks import FeatureBlock, HighPreserving, Residual
from lowvision_esrt.transformer import Encoder


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, segments: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.blocks = nn.ModuleList(HighPreserving(channels) for _ in range(layers))
        self.collect = SplitConv([channels] * layers, channels, kernel=3)
        self.encoder = Encoder(channels, segments)
        self.encoder_end = nn.Conv2d(channels, channels, 3, padding=1)
        self.weigh = Residual()
        self.trunk_end = nn.Conv2d(channels, channels, 3, padding=1)
        self.enlarge_deep = upsampler(channels, scale)
        self.enlarge_shallow = upsampler(channels, scale)
        self.last_deep = nn.Conv2d(channels, colours, 3, padding=1)
        self.last_shallow = nn.Conv2d(channels, colours, 3, padding=1, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self)
        for module in self.modules():
            if isinstance(module, SplitConv):
                module.share_variance()
            if isinstance(module, FeatureBlock | HighPreserving):
                module.scale_residual_()
        scale_residual_(self.encoder_end)
        for last in (self.last_deep, self.last_shallow):
            init_near_zero_(last)
        if self.skip != "none":
            init_zero_mean_(self.head)

    def forward(self, lq: Tensor) -> Tensor:
        features = shallow = self.head(lq)  # (B, channels, h, w)
        seen = []
        for block in self.blocks:
            features = block(features)
            seen.append(features)
        attended = self.encoder_end(self.encoder(self.collect(seen)))
        deep = self.trunk_end(self.weigh(shallow, attended))  # (B, channels, h, w)
        image = self.last_deep(self.enlarge_deep(deep)) + self.last_shallow(self.enlarge_shallow(shallow))
        return add_skip(image, lq, self.scale, self.skip)  # (B, colours, h*scale, w*scale)
