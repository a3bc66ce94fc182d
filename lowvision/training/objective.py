"""Objectives: modules that map (lq, gt) to weighted losses, so that a distributed wrapper only needs `forward`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from lowvision.routing.container import RoutedContainer
from lowvision.training.loss_sum import LossSum, summed
from lowvision.training.losses import average_loss, average_pull, class_loss
from lowvision.training.options import RoutedFit

ERROR_FLOOR = 1e-7
"""Smallest mean squared error that is distinguished from 0, 70 dB."""
RATIO_WEIGHT = 5.0
"""Weight of the differences between branches against the errors themselves."""


class Objective(nn.Module, ABC):
    """The loss that a stage minimises, as a module."""

    find_unused_parameters: bool = False
    """True if some parameters may get no gradient; DDP must then search for them in every step."""

    def global_statistics(self, lq: Tensor) -> Tensor | None:
        """Return the statistics of the global batch that the loss needs, as sums over tiles; None: no statistics.

        The loop calls this without a graph before a batch is processed in parts, and adds the results of all parts.
        """
        return None

    @abstractmethod
    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the weighted losses of lq (B,C,h,w), gt (B,C,s*h,s*w) in [0,1], and metrics: means over B tiles.

        progress: from 0 at the first update of the stage to 1 at the last.
        global_statistics: sums over all `total` tiles of the global batch; None if these tiles are the global batch.
        """


class RestorationObjective(Objective):
    """The image loss of the output of one network; trains the base and each branch."""

    def __init__(self, network: nn.Module, image_loss: LossSum):
        super().__init__()
        self.network = network
        self.image_loss = image_loss

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self.image_loss.by_name(self.network(lq), gt), {}


class OwnObjective(Objective):
    """The objective that the backbone of a network defines."""

    def __init__(self, own: nn.Module, trains_all: bool = False):
        """Wrap an objective; trains_all: as `Backbone.trains_all`."""
        super().__init__()
        self.own = own
        self.find_unused_parameters = not trains_all

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self.own(lq, gt, progress), {}


class RoutedObjective(Objective):
    """Image, class and average loss of a container; trains the classifier, or the whole container."""

    def __init__(
        self,
        container: RoutedContainer,
        options: RoutedFit,
        frozen_branches: bool,
        image_loss: LossSum,
        own: Mapping[int, nn.Module] = MappingProxyType({}),
    ):
        """Combine the losses of a container.

        own: objectives of the backbones of branches that are not frozen and have one, by branch; each sees the tiles
        that the classifier sends to its branch.
        """
        super().__init__()
        self.container = container
        self.image_loss = image_loss
        self.own = nn.ModuleDict({str(k): module for k, module in own.items()})
        self.find_unused_parameters = bool(own)
        self.weights = {"image": options.image_weight, "class": options.class_weight, "average": options.average_weight}
        branches = len(container.branches)
        shares = torch.tensor(options.shares or [1 / branches] * branches)
        self.register_buffer("shares", shares, persistent=False)
        self.frozen_branches = frozen_branches
        if frozen_branches:
            container.branches.requires_grad_(False)

    def train(self, mode: bool = True) -> RoutedObjective:
        super().train(mode)
        # Routed tiles skew the batches of a branch, so its BatchNorm keeps the statistics of its own class.
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
        parts = self.image_loss.by_name(image, gt)
        losses = {
            **{name: self.weights["image"] * loss for name, loss in parts.items()},
            **self._own(lq, gt, p, progress),
            "class": self.weights["class"] * class_loss(p),
            "average": self.weights["average"] * self._average(p, global_statistics, total),
        }
        return losses, self._metrics(p.detach())

    def _own(self, lq: Tensor, gt: Tensor, p: Tensor, progress: float) -> dict[str, Tensor]:
        """Return the sum of the backbones' objectives over the tiles of their branches; empty if there are none."""
        if not self.own:
            return {}
        choice, total = p.argmax(dim=1), p.sum() * 0.0
        for k, objective in self.own.items():
            mine = choice == int(k)
            if mine.any():
                losses = objective(lq[mine], gt[mine], progress)
                total = total + mine.float().mean() * summed(losses)
        return {"own": self.weights["image"] * total}

    def _average(self, p: Tensor, global_statistics: Tensor | None, total: int) -> Tensor:
        shares = self.get_buffer("shares")
        if global_statistics is None:
            return average_loss(p.sum(dim=0), len(p), shares)
        # The value is the loss of the whole batch, the gradient this part's share; the mean over parts is exact.
        part = (average_pull(global_statistics, total, shares) * p.sum(dim=0)).sum() * (total / len(p))
        return average_loss(global_statistics, total, shares) + part - part.detach()

    @staticmethod
    def _metrics(p: Tensor) -> dict[str, Tensor]:
        entropy = torch.special.entr(p).sum(dim=1).mean()
        chosen = nn.functional.one_hot(p.argmax(dim=1), p.shape[1]).float().mean(dim=0)
        return {"shares": p.mean(dim=0), "chosen": chosen, "entropy": entropy}


class EveryBranchObjective(Objective):
    """The image loss of every branch on every tile; trains a container whose classifier is fitted, not trained.

    The probabilities of a fitted classifier never become certain, so branches trained on the blended image would
    depend on the blending.
    """

    def __init__(
        self, container: RoutedContainer, image_loss: LossSum, own: Mapping[int, nn.Module] = MappingProxyType({})
    ):
        """Combine the losses of the branches; own: the objectives of the backbones that have one, by branch."""
        super().__init__()
        self.branches = container.branches
        self.image_loss = image_loss
        self.own = nn.ModuleDict({str(k): module for k, module in own.items()})
        self.find_unused_parameters = bool(own)

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        outputs = self.branches.all(lq)  # (B, M, C, s*h, s*w)
        expected = gt[:, None].expand_as(outputs)
        if not self.own:
            return self.image_loss.by_name(outputs.flatten(0, 1), expected.flatten(0, 1)), {}
        losses = [self._of_branch(k, outputs[:, k], lq, gt, progress) for k in range(outputs.shape[1])]
        return {"image": torch.stack(losses).mean()}, {}

    def _of_branch(self, k: int, output: Tensor, lq: Tensor, gt: Tensor, progress: float) -> Tensor:
        if str(k) not in self.own:
            return self.image_loss(output, gt)
        return summed(self.own[str(k)](lq, gt, progress))


class RankingObjective(Objective):
    """Cross entropy between the classifier's output and the class of each tile; teaches it the ranking."""

    def __init__(self, container: RoutedContainer):
        super().__init__()
        self.classifier = container.classifier

    def forward(
        self, lq: Tensor, gt: Tensor, progress: float, global_statistics: Tensor | None, total: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the losses and metrics; gt (B,) are classes, not images."""
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
        missed = predicted - gt.clamp_min(ERROR_FLOOR).log()  # (B, M)
        # What is chosen depends on the differences between branches, which are smaller than those between tiles.
        ratios = missed - missed[:, -1:]
        return {"errors": missed.abs().mean(), "ratios": RATIO_WEIGHT * ratios.abs().mean()}, {}
