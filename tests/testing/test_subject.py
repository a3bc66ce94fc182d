"""Claims about test subjects: reproducible networks and images, and errors as failures with a way out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from lowvision.testing.subject import Subject, distance

SHAPE = (2, 3, 6, 6)


class Raises(nn.Module):
    """A network that fails."""

    def forward(self, lq: Tensor) -> Tensor:
        raise RuntimeError("no\nkernel")


def subject(make: type[nn.Module] | None = None) -> Subject:
    return Subject("Net()", make or (lambda: nn.Conv2d(3, 3, 3, padding=1)), SHAPE)


def test_a_seed_determines_network_and_images_and_leaves_the_random_state() -> None:
    state = torch.random.get_rng_state()
    first, again, other = subject().built(0), subject().built(0), subject().built(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    assert torch.equal(subject().images(), subject().images())
    assert 0 <= subject().images().min() < subject().images().max() <= 1


def test_stirred_weights_hide_no_layer() -> None:
    zero = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1))
    nn.init.zeros_(zero[1].weight)
    stirred = Subject("Net()", lambda: zero, SHAPE).stirred()
    assert all(parameter.dtype == torch.float64 for parameter in stirred.parameters())
    assert stirred(subject().images(dtype=torch.float64)).std() > 0.1


def test_an_error_of_the_network_is_a_failure_in_one_line() -> None:
    with pytest.raises(AssertionError, match=r"^Net\(\): an input of .* raises RuntimeError: no kernel"):
        subject(Raises).run(Raises(), subject().images())


@pytest.mark.parametrize(
    ("shape", "dtype", "hint"),
    [((1, 3, 9, 9), torch.float64, "make constants buffers"), ((1, 3, 1, 5), torch.float32, "images may be as small")],
)
def test_a_failure_of_an_unusual_input_has_a_hint(shape: tuple[int, ...], dtype: torch.dtype, hint: str) -> None:
    with pytest.raises(AssertionError, match=hint):
        subject(Raises).run(Raises(), torch.rand(shape, dtype=dtype))


def test_distances_are_relative_and_infinite_if_a_value_is_not_finite() -> None:
    expected = torch.tensor([0.0, 4.0])
    assert distance(torch.tensor([1.0, 4.0]), expected) == 0.25
    assert distance(torch.tensor([1.0, 0.0]), torch.zeros(2)) == 1.0
    assert distance(torch.tensor([math.nan, 4.0]), expected) == math.inf
