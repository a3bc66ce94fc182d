"""Restore an image by an adaptive network, which decides per tile how much to compute."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from lowvision.plugins.contracts import Adaptive
from lowvision.routing.engine import Engine
from lowvision.system import devices


def adapt(network: Adaptive, engine: Engine, image: Tensor) -> tuple[Tensor, int]:
    """Restore image (C,H,W) to (C,s*H,s*W); return it and the multiply-adds spent, overlap included.

    engine: defines the tiles; its own networks do not run.
    """
    adaptive, spent = adaptive_engine(network, engine)
    restored = adaptive.restore(image, 0).image
    return restored, int(sum(spent))


def adaptive_engine(network: Adaptive, engine: Engine) -> tuple[Engine, list[Tensor]]:
    """Return an engine with the same tiles and `network` as its only branch, and the list that collects its costs.

    Each batch appends its multiply-adds to the list.
    """
    spent: list[Tensor] = []

    def run(tiles: Tensor) -> Tensor:
        restored, multiply_adds = network.adapt(devices.in_fast_layout(tiles))
        spent.append(multiply_adds.sum())
        return restored

    networks = replace(engine.networks, branches=(run,))
    return replace(engine, networks=networks, geometry=engine.geometry.alone), spent
