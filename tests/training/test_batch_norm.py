"""BatchNorm: one update of the statistics a step, by the batch of all processes on GPUs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from lowvision.routing.container import RoutedContainer
from lowvision.training import batch_norm, loss_sum
from lowvision.training.loop import update
from lowvision.training.objective import RoutedObjective
from lowvision.training.optimizers import make_optimizer
from lowvision.training.options import Fit, RoutedFit


def classifier() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def fake(processes: int, device: str) -> Accelerator:
    return cast(Accelerator, SimpleNamespace(num_processes=processes, device=torch.device(device)))


@pytest.mark.parametrize(
    ("processes", "device", "kind"),
    [(2, "cuda", nn.SyncBatchNorm), (1, "cuda", nn.BatchNorm2d), (2, "cpu", nn.BatchNorm2d)],
)
def test_the_classifier_batch_norm_is_synchronised_over_gpus(processes: int, device: str, kind: type) -> None:
    container = RoutedContainer(classifier(), [nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1)])
    names = list(container.state_dict())
    shared = batch_norm.shared(container, fake(processes, device))
    assert type(shared.classifier[1]) is kind
    assert list(shared.state_dict()) == names


def test_an_extra_forward_pass_uses_batch_statistics_and_does_not_update_running_ones() -> None:
    network, x = nn.BatchNorm2d(3), torch.rand(8, 3, 4, 4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with batch_norm.frozen_statistics(network):
        extra = network(x)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    torch.testing.assert_close(extra, network(x))
    assert not torch.equal(network.state_dict()["running_mean"], before["running_mean"])


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_a_step_updates_running_statistics_once_per_micro_batch(micro_batch: Any) -> None:
    container = RoutedContainer(classifier(), [nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1)])
    options = Fit(steps=2, batch=4, micro_batch=micro_batch)
    objective = RoutedObjective(container, RoutedFit(steps=2, batch=4), False, loss_sum.l1()).train()
    accelerator = Accelerator(cpu=True)
    optimizer = accelerator.prepare(make_optimizer(list(objective.parameters()), options))
    update(objective, optimizer, torch.rand(4, 3, 8, 8), torch.rand(4, 3, 8, 8), 0.0, options, accelerator)
    norm = cast(nn.BatchNorm2d, cast(nn.Sequential, container.classifier)[1])
    assert norm.num_batches_tracked == (1 if micro_batch is None else 2)
