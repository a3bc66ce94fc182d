"""The body of FSRCNN: shrink, map, expand (Dong, Loy, Tang, ECCV 2016), in the form of the ClassSR paper."""

from __future__ import annotations

from torch import nn

HOURGLASS_SLOPE = 0.25
"""Where PReLU starts."""


def hourglass(colours: int, channels: int, shrink: int, layers: int) -> nn.Sequential:
    """Images (B,colours,h,w) -> features (B,channels,h,w), by `layers` convolutions of `shrink` channels."""
    return nn.Sequential(
        nn.Conv2d(colours, channels, 5, padding=2),
        nn.PReLU(init=HOURGLASS_SLOPE),
        nn.Conv2d(channels, shrink, 1),
        nn.PReLU(init=HOURGLASS_SLOPE),
        # No activation between the mapping layers: so the reference trained the published numbers.
        *(nn.Conv2d(shrink, shrink, 3, padding=1) for _ in range(layers)),
        nn.PReLU(init=HOURGLASS_SLOPE),
        nn.Conv2d(shrink, channels, 1),
        nn.PReLU(init=HOURGLASS_SLOPE),
    )
