"""From an image to a restored image: tiles are planned, routed to their branches in batches, and blended."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lowvision.routing.container import RoutedContainer
from lowvision.routing.tiling import Plan, blend, plan, split


@dataclass(frozen=True)
class Restored:
    """A restored image, and how it came about."""

    image: Tensor
    """(C,s*H,s*W)."""
    choice: Tensor
    """(N,) the branch of each tile, in the order of the plan."""
    cost: int
    """Multiply-adds of the whole image: branches, overlap and, where it was asked, the classifier."""
    plan: Plan
    """Where the tiles lie."""

    def shares(self, branches: int) -> tuple[float, ...]:
        """The share of tiles that went to each branch."""
        return tuple((torch.bincount(self.choice, minlength=branches) / len(self.choice)).tolist())


@dataclass(frozen=True)
class Engine:
    """Restores images of any size with a container and its tile geometry."""

    container: RoutedContainer
    scale: int
    size: int
    """Height and width of a tile, in LQ pixels."""
    overlap: int
    """By how much neighbours overlap, in LQ pixels."""
    batch: int = 16
    """Tiles of one branch that are restored at a time."""

    @torch.inference_mode()
    def route(self, image: Tensor) -> Restored:
        """Restore image (C,H,W); the classifier chooses the branch of each tile."""
        where, tiles = self._tiles(image)
        routed = self.container.route(tiles, self.batch)
        return Restored(blend(routed.image, where, self.scale), routed.choice, int(routed.cost.sum()), where)

    @torch.inference_mode()
    def restore(self, image: Tensor, choice: Tensor | int) -> Restored:
        """Restore image (C,H,W) by a choice made elsewhere: one branch for each tile (N,), or one for all."""
        where, tiles = self._tiles(image)
        chosen = torch.as_tensor(choice, device=image.device).expand(where.count)
        prices = self.container.prices(tuple(tiles.shape[1:])).to(image.device)
        restored = self.container.restore(tiles, chosen, self.batch)
        return Restored(blend(restored, where, self.scale), chosen, int(prices[chosen].sum()), where)

    def _tiles(self, image: Tensor) -> tuple[Plan, Tensor]:
        _, height, width = image.shape
        where = plan(height, width, self.size, self.overlap)
        return where, split(image, where).contiguous(memory_format=torch.channels_last)
