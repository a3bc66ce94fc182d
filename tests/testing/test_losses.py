"""Claims about `check_loss`: it reports each fault that its docstring names."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from lowvision import Critic, Loss, Task
from lowvision.testing import check_loss

Fault = Literal["none", "sum", "map", "detached", "root", "changes", "random", "sees_critic_only", "unused"]


class Module(nn.Module):
    """L2 with a fault."""

    def __init__(self, fault: str):
        super().__init__()
        self.fault = fault

    def forward(self, restored: Tensor, gt: Tensor) -> Tensor:
        error = restored - gt
        if self.fault == "changes":
            gt.mul_(1.0001)
        if self.fault == "detached":
            error = error.detach()
        if self.fault == "random":
            error = error + 0.1 * torch.rand_like(error)
        if self.fault == "map":
            return error.square()
        if self.fault == "sum":
            return error.square().sum()
        if self.fault == "root":
            return error.square().sum(dim=(1, 2, 3)).sqrt().mean()
        return error.square().mean()


class UnusedParameter(Module, Critic):
    """A discriminator with a parameter that its objective does not use."""

    def __init__(self, fault: str):
        super().__init__(fault)
        self.used, self.unused = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))

    def objective(self, restored: Tensor, gt: Tensor) -> Tensor:
        value = self.used * (restored - gt).mean()
        return value if self.fault == "unused" else value + self.unused * gt.mean()


class Faulty(Loss):
    """L2 with a fault."""

    fault: Fault = "none"
    """The fault."""

    def build(self, task: Task) -> nn.Module:
        return UnusedParameter(self.fault) if self.fault in ("sees_critic_only", "unused") else Module(self.fault)


@pytest.mark.parametrize("fault", ["none", "sees_critic_only"])
def test_a_valid_loss_passes(fault: Fault) -> None:
    check_loss(Faulty(fault=fault))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("map", "has the shape .* return a scalar"),
        ("sum", "the mean of each alone .* return the mean over images"),
        ("detached", "no gradient for the restored images"),
        ("root", "of images that equal gt is not finite"),
        ("changes", "it changes its arguments"),
        ("random", "two calls give two values"),
        ("unused", "no finite gradient of objective reaches unused"),
    ],
)
def test_each_fault_is_reported(fault: Fault, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_loss(Faulty(fault=fault))


def test_a_mixin_without_nn_module_is_reported_with_the_class_to_write() -> None:
    class Alone(Critic):
        def objective(self, restored: Tensor, gt: Tensor) -> Tensor:
            return restored.mean()

    class Lonely(Loss):
        """A discriminator that is no module."""

        def build(self, task: Task) -> nn.Module:
            return Alone()  # type: ignore[return-value]  # the fault

    with pytest.raises(AssertionError, match=r"no torch.nn.Module; class Alone\(nn.Module, Critic\)"):
        check_loss(Lonely())
