"""Objectives: a batch processed in parts gives the gradient of the whole batch; each loss trains its own parameters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from lowvision.routing.container import RoutedContainer
from lowvision.training import loss_sum
from lowvision.training.log import Log, read_metrics
from lowvision.training.loop import TrainingSpec, fit
from lowvision.training.objective import (
    ERROR_FLOOR,
    ErrorObjective,
    EveryBranchObjective,
    OwnObjective,
    RankingObjective,
    RoutedObjective,
)
from lowvision.training.options import Fit, RoutedFit


def objective(frozen: bool = False, **options) -> RoutedObjective:
    torch.manual_seed(0)
    classifier = nn.Sequential(nn.Conv2d(3, 3, 8), nn.Flatten())
    branches = [nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)) for _ in range(3)]
    container = RoutedContainer(classifier, branches).double()
    target = RoutedObjective(container, RoutedFit(**options), frozen, loss_sum.l1())
    return target.double().train()


def gradients(parts: int, with_statistics: bool = True) -> dict[str, torch.Tensor]:
    """Return gradients accumulated over equal parts of a batch, with or without global statistics."""
    target = objective()
    torch.manual_seed(1)
    lq, gt = torch.rand(12, 3, 8, 8, dtype=torch.float64), torch.rand(12, 3, 8, 8, dtype=torch.float64)
    lq += torch.linspace(2, -2, 12, dtype=torch.float64)[:, None, None, None]  # the first tiles go to another branch
    global_statistics = target.global_statistics(lq).detach() if parts > 1 and with_statistics else None
    for lq_part, gt_part in zip(lq.chunk(parts), gt.chunk(parts), strict=True):
        losses, _ = target(lq_part, gt_part, 0.0, global_statistics, 12)
        (sum(losses.values()) / parts).backward()
    return {name: p.grad for name, p in target.named_parameters()}


@pytest.mark.parametrize("parts", [2, 3, 12])
def test_accumulated_gradients_equal_the_gradients_of_the_whole_batch(parts):
    whole, accumulated = gradients(1), gradients(parts)
    for name in whole:
        torch.testing.assert_close(accumulated[name], whole[name], msg=name)


@pytest.mark.parametrize("parts", [2, 3, 12])
def test_without_global_statistics_the_classifier_gradient_differs(parts):
    name = "container.classifier.0.bias"
    whole, accumulated = gradients(1)[name], gradients(parts, with_statistics=False)[name]
    assert (accumulated - whole).abs().max() > 0.01 * whole.abs().max()


def test_the_average_loss_of_a_micro_batch_equals_that_of_the_batch():
    target = objective()
    torch.manual_seed(1)
    lq, gt = torch.rand(12, 3, 8, 8, dtype=torch.float64), torch.rand(12, 3, 8, 8, dtype=torch.float64)
    whole, _ = target(lq, gt, 0.0, None, 12)
    part, _ = target(lq[:4], gt[:4], 0.0, target.global_statistics(lq).detach(), 12)
    torch.testing.assert_close(part["average"], whole["average"])


def test_with_a_fitted_classifier_every_branch_trains_on_every_tile():
    container = objective().container.float()
    lq, gt = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)
    losses, _ = EveryBranchObjective(container, loss_sum.l1())(lq, gt, 0.0, None, 4)
    alone = [(network(lq) - gt).abs().mean() for network in container.branches.networks]
    torch.testing.assert_close(losses["image"], torch.stack(alone).mean())
    losses["image"].backward()
    assert all(p.grad is not None and p.grad.any() for p in container.branches.networks[0][0].parameters())
    assert all(p.grad is None for p in container.classifier.parameters())


def test_frozen_branches_do_not_change_and_stay_in_eval_mode():
    target = objective(frozen=True)
    assert not any(p.requires_grad for p in target.container.branches.parameters())
    assert not any(module.training for module in target.container.branches.modules())
    assert target.container.classifier.training


def test_batch_norm_statistics_of_a_branch_are_frozen_in_joint_training():
    norms = [m for m in objective().container.branches.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 3
    assert not any(norm.training for norm in norms)


def test_metrics_are_the_mean_probability_of_each_branch_and_the_entropy():
    target = objective()
    _, metrics = target(torch.rand(5, 3, 8, 8).double(), torch.rand(5, 3, 8, 8).double(), 0.0, None, 5)
    assert metrics["shares"].sum().item() == pytest.approx(1)
    assert 0 < metrics["entropy"].item() <= torch.tensor(3.0).log().item() + 1e-9


def test_a_classifier_learns_a_ranking_by_brightness():
    torch.manual_seed(0)
    container = RoutedContainer(nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten()), [nn.Identity(), nn.Identity()])
    target = RankingObjective(container)
    optimizer = torch.optim.Adam(target.parameters(), lr=0.05)
    lq, classes = torch.rand(64, 3, 8, 8), torch.arange(64) % 2
    lq[classes == 1] *= 0.3
    for _ in range(60):
        losses, metrics = target(lq, classes, 0.0, None, 64)
        losses["ranking"].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert metrics["right"] > 0.95
    assert len(list(target.parameters())) == 2  # the branches have no part in it


class Ramped(nn.Module):
    """The objective of a backbone, which records the progress of the stage."""

    def __init__(self, network: nn.Conv2d):
        super().__init__()
        self.network = network
        network.register_buffer("progress", torch.zeros(0))

    def forward(self, lq: torch.Tensor, gt: torch.Tensor, progress: float) -> dict[str, torch.Tensor]:
        self.network.progress = torch.cat([self.network.progress, torch.tensor([progress])])
        return {"image": (self.network(lq) - gt).abs().mean(), "small": progress * self.network.weight.square().mean()}


def test_the_objective_receives_the_progress_of_the_stage(tmp_path):
    network = nn.Conv2d(3, 3, 1)
    before = network.weight.detach().clone()
    tiles = [(torch.rand(3, 4, 4), torch.rand(3, 4, 4)) for _ in range(10)]
    spec = TrainingSpec("base", OwnObjective(Ramped(network)), network, None, lambda *_: None)
    log = Log(tmp_path, speaks=True)
    fit(spec, tiles, Fit(steps=5, batch=2), Accelerator(cpu=True), tmp_path / "base", log)
    assert network.progress.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert not torch.equal(network.weight, before)
    assert {"loss", "image", "small"} <= read_metrics(tmp_path)[-1].keys()


def test_unused_parameters_are_searched_for_unless_the_backbone_trains_all():
    network = nn.Conv2d(3, 3, 1)
    assert OwnObjective(Ramped(network)).find_unused_parameters
    assert not OwnObjective(Ramped(network), trains_all=True).find_unused_parameters


class Penalised(nn.Module):
    """The objective of a branch: the image loss, and a penalty; it records its tiles."""

    def __init__(self, network: nn.Module, image_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]):
        super().__init__()
        self.network, self.image_loss = network, image_loss
        self.seen: list[torch.Tensor] = []

    def forward(self, lq: torch.Tensor, gt: torch.Tensor, progress: float) -> dict[str, torch.Tensor]:
        self.seen.append(lq)
        return {"image": self.image_loss(self.network(lq), gt), "penalty": lq.new_tensor(progress)}


def joint(own: bool) -> tuple[RoutedObjective, Penalised | None]:
    container = objective().container
    loss = loss_sum.l1()
    penalised = Penalised(container.branches.networks[1], loss) if own else None
    branches = {1: penalised} if penalised else {}
    return RoutedObjective(container, RoutedFit(), False, loss, branches).double().train(), penalised


def test_the_objective_of_a_branch_receives_its_own_tiles_in_joint_training():
    torch.manual_seed(1)
    lq, gt = torch.rand(12, 3, 8, 8, dtype=torch.float64), torch.rand(12, 3, 8, 8, dtype=torch.float64)
    lq += torch.linspace(2, -2, 12, dtype=torch.float64)[:, None, None, None]
    target, penalised = joint(own=True)
    losses, _ = target(lq, gt, 0.5, None, 12)
    own_tiles = target.container.classify(lq).argmax(dim=1) == 1
    assert 0 < own_tiles.sum() < 12
    assert torch.equal(penalised.seen[0], lq[own_tiles])
    alone = (target.container.branches.networks[1](lq[own_tiles]) - gt[own_tiles]).abs().mean() + 0.5
    torch.testing.assert_close(losses["own"], 1000 * own_tiles.double().mean() * alone)
    plain, _ = joint(own=False)[0](lq, gt, 0.5, None, 12)
    assert "own" not in plain
    assert all(torch.equal(value, losses[name]) for name, value in plain.items())


@pytest.mark.parametrize("parts", [2, 3])
def test_objectives_of_micro_batches_add_up_to_that_of_the_batch(parts):
    torch.manual_seed(1)
    lq, gt = torch.rand(12, 3, 8, 8, dtype=torch.float64), torch.rand(12, 3, 8, 8, dtype=torch.float64)
    lq += torch.linspace(2, -2, 12, dtype=torch.float64)[:, None, None, None]
    target, _ = joint(own=True)
    whole = target(lq, gt, 0.5, None, 12)[0]["own"]
    pairs = zip(lq.chunk(parts), gt.chunk(parts), strict=True)
    values = [target(a, b, 0.5, target.global_statistics(lq).detach(), 12)[0]["own"] for a, b in pairs]
    torch.testing.assert_close(torch.stack(values).mean(), whole)


def test_with_a_fitted_classifier_a_branch_trains_by_its_own_objective():
    container, loss = objective().container.float(), loss_sum.l1()
    own = {2: Penalised(container.branches.networks[2], loss)}
    lq, gt = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8)
    losses, _ = EveryBranchObjective(container, loss, own)(lq, gt, 0.5, None, 4)
    alone = [(network(lq) - gt).abs().mean() for network in container.branches.networks]
    torch.testing.assert_close(losses["image"], torch.stack([*alone[:2], alone[2] + 0.5]).mean())


def test_losses_are_summed_by_weight_and_logged_by_name():
    terms = [loss_sum.Term(name, weight, nn.L1Loss(), {}) for name, weight in (("a", 1.0), ("b", 0.25))]
    restored, gt = torch.rand(2, 2, 3, 4, 4)
    parts = loss_sum.LossSum(terms).by_name(restored, gt)
    assert [*parts] == ["image/a", "image/b"]
    torch.testing.assert_close(loss_sum.LossSum(terms)(restored, gt), 1.25 * (restored - gt).abs().mean())


def test_losses_are_computed_in_float32():
    restored, gt = torch.rand(2, 2, 3, 4, 4)
    low = restored.to(torch.bfloat16)
    assert loss_sum.l1()(low, gt).dtype == torch.float32
    assert loss_sum.l1()(low, gt) == (low.float() - gt).abs().mean()


@pytest.mark.parametrize("last", [1e-3, 0.0])
def test_predicted_errors_that_are_right_cost_nothing_also_if_the_last_branch_makes_none(last: float) -> None:
    errors = torch.tensor([[4e-3, 2e-3, last]])
    right = RoutedContainer(nn.Identity(), [nn.Identity()] * 3)
    right.classifier.forward = lambda lq: -errors.clamp_min(ERROR_FLOOR)  # type: ignore[method-assign]
    losses, _ = ErrorObjective(right)(torch.rand(1, 3, 8, 8), errors, 0.0, None, 1)
    assert {name: float(loss) for name, loss in losses.items()} == {"errors": 0.0, "ratios": 0.0}
