"""Claims about the classifier `error_predictor`."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lowvision.routing.cost import multiply_adds
from lowvision.testing import PlainTask, check_classifier
from lowvision_classifiers import ErrorPredictor
from lowvision_classifiers.error_predictor import Network


def built(branches: int = 3) -> Network:
    torch.manual_seed(0)
    network = ErrorPredictor().build(PlainTask(), branches)
    assert isinstance(network, Network)
    return network.eval()


def test_the_error_predictor_passes_its_check() -> None:
    check_classifier(ErrorPredictor())


@pytest.mark.parametrize("branches", [2, 3, 6])
def test_scores_are_negated_positive_errors_per_branch(branches: int) -> None:
    scores = built(branches)(torch.rand(5, 3, 32, 32))
    assert scores.shape == (5, branches)
    assert (scores < 0).all()


def test_the_error_predictor_costs_less_than_2_percent_of_a_small_backbone() -> None:
    # DISP of 164 K parameters, the network with the best quality per CPU second, has 167 M multiply-adds on this tile.
    assert multiply_adds(built(6), (1, 3, 32, 32)) < 0.02 * 167e6


@settings(deadline=None, max_examples=20)
@given(st.floats(min_value=-3.0, max_value=3.0))
def test_fitting_scales_predictions_to_the_errors(decades: float) -> None:
    torch.manual_seed(1)
    errors = torch.rand(64, 3) * 1e-3 + 1e-4
    networks = built(), built()
    networks[0].fit(errors)
    networks[1].fit(errors * 10**decades)
    tiles = torch.rand(4, 3, 16, 16)
    difference = networks[1].log_errors(tiles) - networks[0].log_errors(tiles)
    # Where errors reach the floor, below 70 dB, they no longer scale.
    if decades > -2:
        torch.testing.assert_close(difference, torch.full_like(difference, decades * 2.302585), atol=1e-2, rtol=1e-3)


def test_the_error_predictor_learns_which_tiles_are_hard() -> None:
    torch.manual_seed(2)
    network = ErrorPredictor(channels=8, hidden=16).build(PlainTask(), 2)
    strength = torch.rand(256, 1, 1, 1)
    tiles = 0.5 + strength * (torch.rand(256, 3, 16, 16) - 0.5)
    errors = torch.cat([strength.flatten(1) ** 2 * 1e-2, strength.flatten(1) ** 2 * 1e-3], dim=1) + 1e-6
    assert isinstance(network, Network)
    network.fit(errors)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)

    def distance() -> torch.Tensor:
        return nn.functional.l1_loss((-network(tiles)).log(), errors.log())

    before = distance().item()
    for _ in range(60):
        loss = distance()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert distance().item() < 0.3 * before
