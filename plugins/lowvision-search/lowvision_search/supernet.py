"""The supernet: every block holds all kernels and widths, and a bypass.

Alternatives are mixed before the convolution, which is linear: a 1x1 kernel is added into the centre of a 3x3 kernel,
and a closed channel is a row of zeros. Therefore a training step costs no more than that of the largest member.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lowvision import Skip
from lowvision.layers import MeanShift, add_skip, init_kaiming_, init_near_zero_, init_zero_mean_, scale_residual_
from lowvision_search.gates import Gates, Opening


class Network(nn.Module):
    """The network: (B,colours,h,w) -> (B,colours,h*scale,w*scale)."""

    def __init__(self, *, colours: int, scale: int, channels: int, layers: int, skip: Skip):
        super().__init__()
        self.scale, self.skip = scale, skip
        self.mean = MeanShift(colours)
        self.gates = Gates(channels, layers)
        self.head = nn.Conv2d(colours, channels, 3, padding=1)
        self.starts = nn.ModuleList(Mixed(channels) for _ in range(layers))
        self.ends = nn.ModuleList(Mixed(channels) for _ in range(layers))
        self.last = nn.Conv2d(channels, colours * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        self._initialise()

    def _initialise(self) -> None:
        init_kaiming_(self)
        for _, end in self.blocks():
            scale_residual_(end.square)
            scale_residual_(end.point)
        init_near_zero_(self.last)
        if self.skip != "none":
            init_zero_mean_(self.head)

    def blocks(self) -> list[tuple[Mixed, Mixed]]:
        """Return the two convolutions of each block."""
        pairs = zip(self.starts, self.ends, strict=True)
        return [(start, end) for start, end in pairs if isinstance(start, Mixed) and isinstance(end, Mixed)]

    def forward(self, lq: Tensor) -> Tensor:
        return self.restore(lq, self.gates())

    def restore(self, lq: Tensor, opening: Opening) -> Tensor:
        """Restore (B,colours,h,w) to (B,colours,h*scale,w*scale) with the given gate values."""
        lq = self.mean.sub(lq)
        between = opening.channels[0]  # (channels,)
        features = self.head(lq) * between.to(lq.dtype)[:, None, None]  # (B, channels, h, w)
        for n, (start, end) in enumerate(self.blocks()):
            inner = functional.relu(start(features, opening.square[n, 0], opening.channels[n + 1]))
            features = features + end(inner, opening.square[n, 1], opening.kept[n] * between)
        image = self.shuffle(self.last(features))  # (B, colours, h*scale, w*scale)
        return self.mean.add(add_skip(image, lq, self.scale, self.skip))

    def expected_cost(self, opening: Opening) -> Tensor:
        """Return () the expected multiply-adds per LQ pixel, with each alternative sampled by its probability.

        Gates are independent, so the expectation of a product of widths is the product of expectations. It is the
        exact cost if all gates are one-hot.
        """
        return opening.widths[0] * (self._edges() + (opening.widths[1:] * opening.areas).sum())

    def full_cost(self) -> int:
        """Return the multiply-adds per LQ pixel of all blocks with 3x3 kernels at full width."""
        channels = self.head.out_channels
        return channels * (self._edges() + len(self.starts) * channels * 2 * 9)

    def _edges(self) -> int:
        """Return the multiply-adds of the first and last convolution, per LQ pixel and channel between blocks."""
        return 9 * (self.head.in_channels + self.last.out_channels)


class Mixed(nn.Module):
    """A 3x3 and a 1x1 convolution with one bias, mixed into one."""

    def __init__(self, channels: int):
        super().__init__()
        self.square = nn.Conv2d(channels, channels, 3, padding=1)
        self.point = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, features: Tensor, share: Tensor, opened: Tensor) -> Tensor:
        """Convolve (B,channels,h,w). share: weight of the 3x3 kernel, a scalar; opened: the gates (channels,)."""
        kernel = share * self.square.weight + functional.pad((1 - share) * self.point.weight, (1, 1, 1, 1))
        assert self.square.bias is not None
        weight, bias = kernel * opened[:, None, None, None], self.square.bias * opened
        return functional.conv2d(features, weight.to(features.dtype), bias.to(features.dtype), padding=1)
