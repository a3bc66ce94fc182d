"""Claims about the checks that backbones and classifiers share: each finds the fault that it is named after."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lowvision.testing import networks
from lowvision.testing.subject import Subject

SHAPE = (2, 3, 6, 6)


class Faulty(nn.Module):
    """A convolution with a fault."""

    def __init__(self, fault: str = ""):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)
        self.idle = nn.Conv2d(3, 3, 1) if fault == "unused" else None
        self.fault = fault
        self.calls = 0

    def forward(self, lq: Tensor) -> Tensor:
        self.calls += 1
        if self.fault == "in place":
            lq.mul_(0.5)
        features = self.layer(lq)
        if self.fault == "remembers":
            features = features * self.calls
        if self.fault == "batch":
            features = features - features.mean(dim=0, keepdim=True)
        if self.fault == "infinite":
            features = features / 0
        return features.detach() if self.fault == "detached" else features


def subject(fault: str = "") -> Subject:
    return Subject(f"Faulty({fault})", lambda: Faulty(fault), SHAPE)


@pytest.mark.parametrize(
    "check",
    [
        networks.check_repeatable,
        networks.check_batch_independence,
        networks.check_backward,
        networks.check_round_trip,
        networks.check_channels_last,
    ],
)
def test_a_sound_network_passes(check: Callable[[Subject], None]) -> None:
    check(subject())


@pytest.mark.parametrize(
    ("check", "fault", "message"),
    [
        (networks.check_repeatable, "in place", "forward changes its input; no in-place operation may touch it"),
        (networks.check_repeatable, "remembers", "in eval\\(\\) one input gives two outputs; nothing may be drawn"),
        (networks.check_repeatable, "infinite", r"the output of an image in \[0,1\] is not finite"),
        (networks.check_batch_independence, "batch", "the output of an image depends on the others in its batch"),
        (networks.check_backward, "unused", r"no gradient reaches idle\.weight; use it in forward, remove it"),
        (networks.check_backward, "detached", "the output is cut off from all parameters; no detach"),
    ],
)
def test_each_fault_is_reported_with_a_remedy(check: Callable[[Subject], None], fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=f"{fault}.*{message}"):
        check(subject(fault))


def test_the_cost_is_counted_without_memory() -> None:
    assert networks.check_counted(subject()) == 6 * 6 * 3 * 3 * 9


def test_a_network_that_reads_values_when_it_is_built_cannot_be_counted() -> None:
    def build() -> nn.Module:
        network = nn.Conv2d(3, 3, 1)
        assert network.weight.sum().item() < 100
        return network

    with pytest.raises(AssertionError, match=r"cannot be counted on the meta device .*read no tensor values in build"):
        networks.check_counted(Subject("Reads", build, SHAPE))


def test_a_wrong_shape_states_the_rule() -> None:
    with pytest.raises(AssertionError, match=r"Faulty\(\).*\(2, 3, 6, 6\)"):
        networks.check_shape(subject(), torch.zeros(2, 3, 5, 6), (2, 3, 6, 6), "enlarge by the scale")
