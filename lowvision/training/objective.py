"""Objectives: modules from (lq, gt) to weighted losses, so that a distributed wrapper sees only `forward`."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lowvision.routing.container import RoutedContainer
from lowvision.training.losses import average_loss, average_pull, class_loss, image_loss
from lowvision.training.options import RoutedFit

ERROR_FLOOR = 1e-7
"""Smallest mean squared error that is told apart, 70 dB."""
RATIO_WEIGHT = 5.0
"""Weight of the differences between branches against the errors themselves."""


class Objective(nn.Module, ABC):
    """What a stage makes small."""

    find_unused_parameters: bool = False
    """Whether parts of what it trains may have no gradient: several processes must look for them each time."""

    def global_statistics(self, lq: Tensor) -> Tensor | None:
        """What the loss must know of the whole global batch, as sums over tiles; None: nothing.

        It is asked, without graph, before a batch is seen in parts; the loop adds the answers of all parts.
        """
        return None

    @abstractmethod
    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The weighted losses of lq (B,C,h,w), gt (B,C,s*h,s*w) in [0,1], and facts to log, all means over B tiles.

        progress: from 0 at the stage's first update to 1 at its last.
        survey: the sums over all `total` tiles of the global batch; None where this is the whole of it.
        """


class RestorationObjective(Objective):
    """L1 of one network's output: what trains the base and each branch."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {"image": image_loss(self.network(lq), gt)}, {}


class OwnObjective(Objective):
    """What the backbone of a network says that trains it."""

    find_unused_parameters = True

    def __init__(self, own: nn.Module):
        super().__init__()
        self.own = own

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self.own(lq, gt, progress), {}


class RoutedObjective(Objective):
    """Image, class and average loss of a container: what trains the classifier, or everything."""

    def __init__(self, container: RoutedContainer, options: RoutedFit, frozen_branches: bool):
        super().__init__()
        self.container = container
        self.weights = {"image": options.image_weight, "class": options.class_weight, "average": options.average_weight}
        branches = len(container.branches)
        shares = torch.tensor(options.shares or [1 / branches] * branches)
        self.register_buffer("shares", shares, persistent=False)
        self.frozen_branches = frozen_branches
        if frozen_branches:
            container.branches.requires_grad_(False)

    def train(self, mode: bool = True) -> RoutedObjective:
        super().train(mode)
        # BatchNorm of a branch sees skewed batches once tiles are routed; its statistics stay those of its own class.
        for module in self.container.branches.modules():
            if self.frozen_branches or isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def global_statistics(self, lq: Tensor) -> Tensor:
        return self.container.classify(lq).softmax(dim=1).sum(dim=0)  # (M,)

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        image, p = self.container(lq)
        losses = {
            "image": self.weights["image"] * image_loss(image, gt),
            "class": self.weights["class"] * class_loss(p),
            "average": self.weights["average"] * self._average(p, global_statistics, total),
        }
        return losses, self._facts(p.detach())

    def _average(self, p: Tensor, global_statistics: Tensor | None, total: int) -> Tensor:
        shares = self.get_buffer("shares")
        if global_statistics is None:
            return average_loss(p.sum(dim=0), len(p), shares)
        # The loss of the whole batch in value, and this part's share of its gradient: means over parts add up to it.
        part = (average_pull(global_statistics, total, shares) * p.sum(dim=0)).sum() * (total / len(p))
        return average_loss(global_statistics, total, shares) + part - part.detach()

    @staticmethod
    def _facts(p: Tensor) -> dict[str, Tensor]:
        entropy = -(p * p.clamp_min(1e-12).log()).sum(dim=1).mean()
        chosen = nn.functional.one_hot(p.argmax(dim=1), p.shape[1]).float().mean(dim=0)
        return {"shares": p.mean(dim=0), "chosen": chosen, "entropy": entropy}


class EveryBranchObjective(Objective):
    """L1 of every branch on every tile: what trains a container whose classifier is fitted and learns nothing.

    Blended by such a classifier's probabilities, which nothing makes certain, branches would learn to be blended.
    """

    def __init__(self, container: RoutedContainer):
        super().__init__()
        self.branches = container.branches

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        outputs = self.branches.all(lq)  # (B, M, C, s*h, s*w)
        return {"image": image_loss(outputs, gt[:, None].expand_as(outputs))}, {}


class RankingObjective(Objective):
    """Cross entropy between the classifier's word and the class of each tile: what makes it know the ranking."""

    def __init__(self, container: RoutedContainer):
        super().__init__()
        self.classifier = container.classifier

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """As every objective's, but gt (B,) are classes."""
        logits = self.classifier(lq)  # (B, M)
        right = (logits.detach().argmax(dim=1) == gt).float().mean()
        return {"ranking": nn.functional.cross_entropy(logits, gt)}, {"right": right}


class ErrorObjective(Objective):
    """Distance of logarithms between the errors that a classifier predicts and those that were measured."""

    def __init__(self, container: RoutedContainer):
        super().__init__()
        self.classifier = container.classifier

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The same as of every objective, but gt (B,M) are the measured mean squared errors."""
        predicted = (-self.classifier(lq)).clamp_min(ERROR_FLOOR).log()
        distance = (predicted - gt.clamp_min(ERROR_FLOOR).log()).abs()  # (B, M)
        # What is chosen depends on the differences between branches, which are smaller than those between tiles.
        ratios = (predicted - predicted[:, -1:]) - (gt / gt[:, -1:].clamp_min(ERROR_FLOOR)).clamp_min(ERROR_FLOOR).log()
        return {"errors": distance.mean(), "ratios": RATIO_WEIGHT * ratios.abs().mean()}, {}
