"""A network is built only within the size of the file that holds its tensors."""

from __future__ import annotations

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lowvision.models import bounded_build
from lowvision.models.bounded_build import Limits, Oversized


def test_the_limits_stop_a_constructor_and_are_removed_afterwards() -> None:
    with pytest.raises(Oversized), bounded_build.within(Limits(modules=100, elements=10**9)):
        nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(10**9)))
    with pytest.raises(Oversized), bounded_build.within(Limits(modules=100, elements=10**6)):
        nn.Linear(1001, 1000)
    nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(101)))


def test_comparing_does_not_change_the_random_state() -> None:
    architecture = tiny.architecture()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    bounded_build.misfit(architecture.build, {})
    assert torch.equal(torch.rand(2), expected)


def test_a_network_that_fits_has_no_difference_and_another_is_described() -> None:
    state = nn.Linear(3, 2).state_dict()
    assert bounded_build.misfit(lambda: nn.Linear(3, 2), state) == ""
    assert bounded_build.misfit(lambda: nn.Linear(4, 2, bias=False), state) == (
        "1 unexpected: bias; 1 of another shape: weight (2, 3) instead of (2, 4)"
    )


def test_a_tensor_that_two_modules_share_is_needed_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(2, 2, bias=False)
            self.second = nn.Linear(2, 2, bias=False)
            self.second.weight = self.first.weight

    assert bounded_build.misfit(Tied, {"first.weight": torch.zeros(2, 2)}) == ""


def test_comparing_takes_no_memory_for_weights() -> None:
    # 4 GiB of weights in a file of as many: built on the meta device.
    huge = {"weight": torch.empty(2**15, 2**15, device="meta")}
    assert bounded_build.misfit(lambda: nn.Linear(2**15, 2**15, bias=False), huge) == ""


def test_an_error_of_a_constructor_removes_the_limits_too() -> None:
    def fail() -> nn.Module:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bounded_build.misfit(fail, {})
    nn.Sequential(*(nn.Identity() for _ in range(bounded_build.SPARE + 1)))


@settings(max_examples=30)
@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_larger_files_allow_larger_networks_up_to_a_number_of_modules(one: int, other: int) -> None:
    smaller, larger = (Limits.of_bytes(count) for count in sorted((one, other)))
    assert smaller.modules <= larger.modules <= bounded_build.MOST
    assert smaller.elements <= larger.elements
    of_tensors = Limits.of_tensors({f"weight{n}": (one + 1,) for n in range(3)})
    assert of_tensors.elements > 3 * (one + 1)
