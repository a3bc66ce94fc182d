"""Restores an image by a network that decides by itself how much of it to compute, tile by tile."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from lowvision.plugins.contracts import Adaptive
from lowvision.routing.engine import Engine


def adapt(network: Adaptive, engine: Engine, image: Tensor) -> tuple[Tensor, int]:
    """The restored image (C,s*H,s*W) of image (C,H,W), and the multiply-adds that were spent on it, overlap included.

    engine: knows the tiles; of its own networks none is asked.
    """
    adapting, spent = by_itself(network, engine)
    restored = adapting.restore(image, 0).image
    return restored, int(sum(spent))


def by_itself(network: Adaptive, engine: Engine) -> tuple[Engine, list[Tensor]]:
    """An engine for the same tiles, whose only branch is the network, and a list of what is spent while it restores."""
    spent: list[Tensor] = []

    def run(tiles: Tensor) -> Tensor:
        restored, multiply_adds = network.adapt(tiles)
        spent.append(multiply_adds.sum())
        return restored

    networks = replace(engine.networks, branches=(run,))
    return replace(engine, networks=networks, geometry=engine.geometry.alone), spent
