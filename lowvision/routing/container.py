"""The classify-then-route container: a classifier and branches of growing capacity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lowvision.routing import cost


def branch_prefix(k: int) -> str:
    """Return the prefix of the tensor names of branch k in the state dict of a container."""
    return f"branches.networks.{k}."


@dataclass(frozen=True)
class Routed:
    """The result of `route` for a batch of tiles."""

    image: Tensor
    """(B,C,s*h,s*w)."""
    choice: Tensor
    """(B,) the branch that restored each tile."""
    cost: Tensor
    """(B,) multiply-adds spent on each tile, int64."""


class Branches(nn.Module):
    """Independent networks; run all of them on a tile, or one."""

    def __init__(self, networks: Iterable[nn.Module]):
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self._costs: dict[tuple[int, ...], tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self.networks)

    def all(self, tiles: Tensor) -> Tensor:
        """Run every branch: (B,C,h,w) -> (B,M,C,s*h,s*w)."""
        return torch.stack([network(tiles) for network in self.networks], dim=1)

    def one(self, tiles: Tensor, k: int) -> Tensor:
        """Run branch k: (B,C,h,w) -> (B,C,s*h,s*w)."""
        output: Tensor = self.networks[k](tiles)
        return output

    def costs(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the multiply-adds of each branch on one tile of shape (C,h,w); cached per shape."""
        if shape not in self._costs:
            self._costs[shape] = tuple(cost.multiply_adds(network, (1, *shape)) for network in self.networks)
        return self._costs[shape]


class RoutedContainer(nn.Module):
    """Restore each tile by the branch that the classifier chooses (Kong et al., CVPR 2021).

    `forward` blends all branches by their probabilities and is differentiable: use it for training. `route` runs only
    the chosen branch of each tile: use it for inference.
    """

    def __init__(self, classifier: nn.Module, branches: Iterable[nn.Module]):
        super().__init__()
        self.classifier = classifier
        self.branches = Branches(branches)
        self._classifier_costs: dict[tuple[int, ...], int] = {}

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Blend all branches: (B,C,h,w) -> the image (B,C,s*h,s*w) and the probabilities (B,M)."""
        probabilities = self.classifier(tiles).softmax(dim=1)  # (B, M)
        outputs = self.branches.all(tiles)  # (B, M, C, s*h, s*w)
        # Not einsum, which autocast runs in half precision: that would round even float32 outputs of the branches.
        weights = probabilities.to(torch.promote_types(outputs.dtype, torch.float32))[:, :, None, None, None]
        return (weights * outputs).sum(dim=1), probabilities

    def route(self, tiles: Tensor, batch: int = 16) -> Routed:
        """Restore tiles (B,C,h,w), each by its most probable branch.

        A branch runs on at most `batch` tiles at a time, so that its feature maps stay in the CPU cache.
        """
        choice = self.classify(tiles).argmax(dim=1)
        costs = self.costs(tuple(tiles.shape[1:])).to(tiles.device)
        spent = costs[choice] + self.classifier_cost(tuple(tiles.shape[1:]))
        return Routed(self.restore(tiles, choice, batch), choice, spent)

    def classify(self, tiles: Tensor) -> Tensor:
        """Run the classifier: (B,C,h,w) -> logits (B,M)."""
        logits: Tensor = self.classifier(tiles)
        return logits

    def restore(self, tiles: Tensor, choice: Tensor, batch: int = 16) -> Tensor:
        """Restore tiles (B,C,h,w), tile n by branch choice[n]."""
        restored: Tensor | None = None
        # Skip branches without tiles: an empty batch would still cost a kernel launch.
        for k in choice.unique().tolist():
            for numbers in (choice == k).nonzero()[:, 0].split(batch):
                outputs = self.branches.one(tiles[numbers], k)  # (b, C, s*h, s*w)
                if restored is None:
                    restored = outputs.new_empty(len(tiles), *outputs.shape[1:])
                restored[numbers] = outputs
        if restored is None:
            raise ValueError("there are no tiles to restore")
        return restored

    def costs(self, shape: tuple[int, ...]) -> Tensor:
        """Return the multiply-adds (M,) of each branch on one tile of shape (C,h,w), int64; without the classifier."""
        return torch.tensor(self.branches.costs(shape))

    def classifier_cost(self, shape: tuple[int, ...]) -> int:
        """Return the multiply-adds of the classifier on one tile of shape (C,h,w); cached per shape."""
        if shape not in self._classifier_costs:
            self._classifier_costs[shape] = cost.multiply_adds(self.classifier, (1, *shape))
        return self._classifier_costs[shape]
