"""Claims about lowvision-acnet; the constants follow from its paper and its authors' code."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import learning
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from inheritance import is_scaled_part
from torch import Tensor, nn
from torch.nn import functional

from lowvision import Backbone, Task, upsample
from lowvision.routing.cost import multiply_adds, parameters
from lowvision.testing import PlainTask, check_backbone, check_plugin, check_reducer, measured_reach
from lowvision_acnet import ACNet
from lowvision_acnet.acnet import Asymmetric
from lowvision_reducers import Channels, Layers, Reparam

README = Path(__file__).parents[2] / "plugins" / "lowvision-acnet" / "README.md"
SMALL = ACNet(channels=6, layers=3)
TILE = 32


@cache
def blueprint(backbone: Backbone, scale: int) -> nn.Module:
    """Build a network on the meta device: shapes without weights."""
    with torch.device("meta"):
        return backbone.build(PlainTask(scale=scale))


def seeded(backbone: Backbone, task: Task, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return backbone.build(task).eval()


def loud(backbone: Backbone, task: Task, seed: int = 0) -> nn.Module:
    """Build a network with random weights in its last layer, which starts near zero."""
    network = seeded(backbone, task, seed)
    nn.init.kaiming_normal_(network.last.weight)  # type: ignore[arg-type]  # that network has one
    return network


def body_cost(fused: bool, layers: int = 17) -> int:
    """Return the multiply-adds of the blocks on one tile."""
    with torch.device("meta"):
        blocks = nn.Sequential(*(Asymmetric(3 if n == 0 else 64, 64, fused) for n in range(layers)))
    return multiply_adds(blocks, (1, 3, TILE, TILE))


def test_the_plugin_registers_the_backbone() -> None:
    assert check_plugin("lowvision_acnet") == {"backbones": ["acnet"]}


@pytest.mark.parametrize("fused", [False, True])
def test_the_backbone_passes_its_check(fused: bool) -> None:
    # Fused, it computes with nothing that the networks of lowvision-sr do not export.
    check_backbone(SMALL.replace(fused=fused), exportable=not fused)


def test_defaults_are_the_network_of_the_paper() -> None:
    assert ACNet() == ACNet(channels=64, layers=17, fused=False, skip="none")


@pytest.mark.parametrize(("scale", "expected"), [(2, 1_356_544), (3, 1_541_184), (4, 1_504_256)])
def test_the_network_has_the_parameter_count_of_the_authors_layers(scale: int, expected: int) -> None:
    square, channels = 9 * 64 * 64, 64
    body = 15 * 3 * channels + 16 * 15 * channels**2  # 1x3, 3x1, 3x3
    shuffles = {2: 4, 3: 9, 4: 2 * 4}[scale]
    tail = shuffles * (square + channels) + 6 * square + 9 * 3 * channels
    assert body + tail == expected
    assert parameters(blueprint(ACNet(), scale)) == expected


def readme_rows() -> list[list[str]]:
    """Return the rows of the README's table of costs."""
    table = README.read_text().split("| | as trained |")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.parametrize("row", readme_rows(), ids=lambda row: row[0])
def test_the_readme_figures_equal_the_counted_ones(row: list[str]) -> None:
    form_and_scale, *cells, fewer = row
    costs = []
    for fused, cell in zip((False, True), cells, strict=True):
        if match := re.search(r"x(\d)$", form_and_scale):
            network = blueprint(ACNet(fused=fused), int(match[1]))
            costs.append(multiply_adds(network, (1, 3, TILE, TILE)))
            assert cell == f"{costs[-1] / 1e6:,.1f} M ({parameters(network):,})"
        else:
            costs.append(body_cost(fused))
            assert cell == f"{costs[-1] / 1e6:,.1f} M"
    assert fewer == f"{1 - costs[1] / costs[0]:.0%}".replace("%", " %")


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_reach_equals_the_receptive_field_radius(scale: int) -> None:
    task = PlainTask(scale=scale)
    assert measured_reach(SMALL, task, 12) == SMALL.reach(task)


# Fusing


def test_fusing_saves_two_fifths_of_the_body_cost() -> None:
    assert 1 - body_cost(fused=True) / body_cost(fused=False) == pytest.approx(0.4)


@settings(deadline=None, max_examples=10)
@given(
    scale=st.integers(1, 4),
    channels=st.integers(1, 8),
    layers=st.integers(1, 4),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
)
def test_the_fused_network_gives_equal_outputs(scale: int, channels: int, layers: int, height: int, width: int) -> None:
    backbone, task = ACNet(channels=channels, layers=layers, skip="bicubic"), PlainTask(scale=scale)
    larger, smaller = loud(backbone, task), seeded(Reparam().reduce(backbone, "fused"), task, 1)
    image = torch.rand(1, 3, height, width)
    assert Reparam().inherit(larger, smaller)
    with torch.no_grad():
        torch.testing.assert_close(smaller(image), larger(image), atol=1e-5, rtol=0)


def test_the_fused_network_of_the_paper_gives_equal_outputs() -> None:
    task = PlainTask(scale=2)
    larger, smaller = loud(ACNet(), task), seeded(ACNet(fused=True), task, 1)
    image = torch.rand(1, 3, 16, 16)
    assert Reparam().inherit(larger, smaller)
    with torch.no_grad():
        expected, actual = larger(image), smaller(image)
    assert 0 < (actual - expected).abs().max() < 1e-5


def test_a_block_equals_the_sum_of_its_three_convolutions() -> None:
    block, features = Asymmetric(3, 5, fused=False), torch.rand(1, 3, 7, 8)
    row, column, square = (part.weight for part in block.convolutions())
    assert (row.shape, column.shape, square.shape) == ((5, 3, 1, 3), (5, 3, 3, 1), (5, 3, 3, 3))
    kernel = square.clone()
    kernel[:, :, 1:2, :] += row
    kernel[:, :, :, 1:2] += column
    torch.testing.assert_close(block(features), functional.conv2d(features, kernel, padding=1))


def test_the_reducer_reparam_fuses_it() -> None:
    check_reducer(Reparam(), SMALL, ["fused", "parallel"])


# Initialisation, and the other reducers


def test_an_initial_network_with_skip_is_near_the_interpolation() -> None:
    lq = upsample(torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1)), 4, "bilinear")
    with torch.no_grad():
        difference = seeded(ACNet(skip="bicubic"), PlainTask(scale=2))(lq) - upsample(lq, 2, "bicubic")
    assert 0 < difference.abs().mean() < 0.02


def test_features_neither_vanish_nor_explode_through_the_layers() -> None:
    network, strengths = seeded(ACNet(), PlainTask(scale=2)), list[float]()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, inputs: strengths.append(inputs[0].std().item()))
    with torch.no_grad():
        network(upsample(torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1)), 4, "bilinear"))
    assert min(strengths) > 1e-3
    assert max(strengths) < 30


def test_a_few_training_steps_beat_the_interpolation() -> None:
    network = seeded(ACNet(channels=8, layers=4, skip="bicubic"), PlainTask(scale=2))
    losses = learning.losses(network, scale=2)
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize(("reducer", "level"), [(Channels(), 4), (Layers(), 2)])
def test_a_smaller_network_inherits_from_a_larger_one(reducer: Any, level: int) -> None:
    base = ACNet(channels=8, layers=3)
    larger, smaller = seeded(base, PlainTask()), reducer.reduce(base, level).build(PlainTask())
    assert reducer.inherit(larger, smaller)
    larger_parameters = dict(larger.named_parameters())
    for key, parameter in smaller.named_parameters():
        assert is_scaled_part(parameter, larger_parameters[key]), key


def test_a_branch_can_be_narrowed_and_then_fused() -> None:
    base, task = ACNet(channels=8, layers=3), PlainTask(scale=2)
    narrow = Channels().reduce(base, 4)
    fused = Reparam().reduce(narrow, "fused")
    assert fused == ACNet(channels=4, layers=3, fused=True)
    larger, middle, smaller = loud(base, task), seeded(narrow, task, 1), seeded(fused, task, 2)
    assert Channels().inherit(larger, middle)
    assert Reparam().inherit(middle, smaller)
    image: Tensor = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        torch.testing.assert_close(smaller(image), middle(image), atol=1e-5, rtol=0)
