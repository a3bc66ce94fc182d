"""A few training steps on a task that interpolation cannot solve, to test that networks are trainable."""

from __future__ import annotations

import torch
from torch import nn

from lowvision import resize, upsample


def losses(network: nn.Module, scale: int, rate: float = 1e-3, images: int = 2, steps: int = 30) -> list[float]:
    """Return the mean absolute error before each Adam step, on squares with hard edges, which bicubic blurs."""
    squares = (torch.rand(images, 3, 8, 8, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    gt = upsample(squares, 2 * scale, "nearest")
    lq = resize(gt, (16, 16))
    optimiser = torch.optim.Adam(network.train().parameters(), rate)
    losses_per_step = []
    for _ in range(steps):
        loss = (network(lq) - gt).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses_per_step.append(loss.item())
    return losses_per_step
