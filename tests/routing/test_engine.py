"""The engine restores images of any size and counts what it spent."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lowvision.routing.container import RoutedContainer
from lowvision.routing.engine import Engine


def engine(scale: int = 2) -> Engine:
    """Branch 0 repeats pixels; branch 1 does so too, at the cost of a convolution."""
    idle = nn.Conv2d(3, 3, 1, bias=False)
    nn.init.dirac_(idle.weight)
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    branches = [nn.Upsample(scale_factor=scale), nn.Sequential(idle, nn.Upsample(scale_factor=scale))]
    return Engine(RoutedContainer(classifier, branches).eval(), scale, size=16, overlap=4, batch=3)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 60), width=st.integers(1, 60))
def test_an_image_of_any_size_comes_back_scaled_whatever_the_route(height, width):
    image = torch.rand(3, height, width)
    restored = engine().route(image)
    assert torch.equal(restored.image, image.repeat_interleave(2, 1).repeat_interleave(2, 2))
    assert len(restored.choice) == restored.plan.count


def test_the_cost_of_an_image_includes_classifier_and_overlap():
    routing = engine()
    image = torch.rand(3, 40, 40)  # 3 x 3 tiles of 16 at stride 12, 14 at the end
    classifier, branch = 3 * 2, 3 * 3 * 16 * 16
    routed = routing.route(image)
    assert routed.plan.count == 9
    assert routed.cost == 9 * classifier + branch * int((routed.choice == 1).sum())


def test_a_given_choice_asks_no_classifier_and_pays_for_none():
    routing = engine()
    assert routing.restore(torch.rand(3, 40, 40), 0).cost == 0
    assert routing.restore(torch.rand(3, 40, 40), 1).cost == 9 * 3 * 3 * 16 * 16


def test_shares_count_tiles_of_every_branch_also_of_the_unused():
    restored = engine().restore(torch.rand(3, 40, 40), torch.tensor([1, 0, 0, 0, 0, 0, 0, 0, 0]))
    assert [round(share, 3) for share in restored.shares(3)] == [0.889, 0.111, 0.0]
