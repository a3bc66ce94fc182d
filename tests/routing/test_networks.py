"""Claims about the functions that an engine runs for a container."""

from __future__ import annotations

import torch
from torch import nn

from lowvision.routing import networks
from lowvision.routing.container import RoutedContainer
from lowvision.routing.cost import multiply_adds


def test_the_functions_and_costs_are_those_of_the_container_parts() -> None:
    classifier = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    branches = [nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1)]
    run = networks.of(RoutedContainer(classifier, branches).eval())
    batch = torch.rand(2, 3, 8, 9)
    with torch.no_grad():
        torch.testing.assert_close(run.classify(batch), classifier(batch))
        for branch, function in zip(branches, run.branches, strict=True):
            torch.testing.assert_close(function(batch), branch(batch))
    assert run.costs((3, 8, 9)) == tuple(multiply_adds(branch, (1, 3, 8, 9)) for branch in branches) == (648, 5832)
    assert run.classifier_cost((3, 8, 9)) == multiply_adds(classifier, (1, 3, 8, 9))
