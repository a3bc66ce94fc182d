"""Claims about lowvision-arm; the constants follow from its paper and ClassSR's."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import learning
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from lowvision import Task, layers, psnr, resize, upsample
from lowvision.routing.cost import multiply_adds, paper_flops, parameters
from lowvision.testing import PlainTask, check_backbone, check_plugin, measured_reach
from lowvision_arm import ARM
from lowvision_arm.network import Network
from lowvision_arm.slices import Sliced
from lowvision_sr import FSRCNN

README = Path(__file__).parents[2] / "plugins" / "lowvision-arm" / "README.md"
SMALL = ARM(widths=(2, 4, 6), shrink=3, layers=2, skip="bicubic")
TASK = PlainTask(scale=2)
TILE = 32


def built(backbone: ARM = SMALL, task: Task = TASK) -> Network:
    """Build a network with random weights in its last layer, so that the outputs of the widths differ."""
    torch.manual_seed(0)
    network = backbone.build(task).eval()
    assert isinstance(network, Network)
    nn.init.normal_(network.sliced.enlarge.weight, std=0.02)
    return network


def pairs(count: int = 128, size: int = 12, scale: int = 2) -> tuple[Tensor, Tensor]:
    """Return tiles lq (N,3,size,size) and gt, of increasing contrast and detail."""
    generator = torch.Generator().manual_seed(5)
    loudness = torch.linspace(0.01, 0.5, count)[:, None, None, None]
    coarse = torch.rand(count, 3, size // 2, size // 2, generator=generator)
    gt = 0.5 + loudness * (upsample(coarse, 2 * scale, "nearest") - 0.5)
    return resize(gt, (size, size)), gt


def trained() -> Network:
    """Return a copy of a small network after some updates of all its widths."""
    return copy.deepcopy(_trained())


@cache
def _trained() -> Network:
    network = built()
    objective = SMALL.objective(network, l1_loss)
    optimiser = torch.optim.Adam(objective.parameters(), 2e-3)
    lq, gt = pairs(32)
    for step in range(40):
        optimiser.zero_grad()
        torch.stack(list(objective(lq, gt, step / 39).values())).sum().backward()
        optimiser.step()
    return network


def test_the_plugin_registers_the_backbone() -> None:
    assert check_plugin("lowvision_arm") == {"backbones": ["arm"]}


def test_the_backbone_passes_its_check() -> None:
    check_backbone(SMALL)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_reach_equals_the_receptive_field_radius(scale: int) -> None:
    assert measured_reach(SMALL, PlainTask(scale=scale), 12) == SMALL.reach(PlainTask(scale=scale))


@pytest.mark.parametrize("widths", [(16, 16), (36, 16), (0, 8)])
def test_widths_that_do_not_increase_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="must ascend and be at least 1"):
        ARM(widths=widths)


# One network's weights


def test_the_parameter_count_is_that_of_one_network_as_in_the_paper() -> None:
    with torch.device("meta"):
        network, alone = (backbone.build(PlainTask(scale=4)) for backbone in (ARM(), FSRCNN()))
    assert parameters(network) == parameters(alone) == 24_515  # ClassSR prints 25 K
    assert round(paper_flops(network, (1, 3, TILE, TILE)) / 1e6) == 468


def slice_of(whole: Sliced, width: int, scale: int) -> nn.Module:
    """Return lowvision-sr's FSRCNN of that width with the leading channels of the weights."""
    network = FSRCNN(channels=width, shrink=3, layers=2, skip="bicubic").build(PlainTask(scale=scale)).eval()
    source_layers = [whole.first, whole.shrink, *whole.mapping, whole.expand, whole.enlarge]
    target_layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    with torch.no_grad():
        for to, of in zip(target_layers, source_layers, strict=True):
            assert isinstance(of, nn.Conv2d | nn.ConvTranspose2d)
            assert of.bias is not None
            assert to.bias is not None
            to.weight.copy_(of.weight[: to.weight.shape[0], : to.weight.shape[1]])
            to.bias.copy_(of.bias[: len(to.bias)])
    return network


@settings(deadline=None, max_examples=10)
@given(scale=st.integers(1, 4), number=st.integers(1, 3), height=st.integers(1, 9), width=st.integers(1, 9))
def test_every_width_equals_a_network_of_the_leading_channels(scale: int, number: int, height: int, width: int) -> None:
    network = built(task=PlainTask(scale=scale))
    for bias in (p for name, p in network.named_parameters() if name.endswith("bias")):
        nn.init.normal_(bias)
    channels, lq = network.widths[number - 1], torch.rand(2, 3, height, width)
    single_width = slice_of(network.sliced, channels, scale)
    with torch.no_grad():
        torch.testing.assert_close(network.way(number, lq), single_width(lq))
    assert network.costs((3, 9, 8))[number] == multiply_adds(single_width, (1, 3, 9, 8))


def test_forward_and_adapt_without_budget_use_the_whole_network() -> None:
    network, lq = built(), pairs(9)[0]
    with torch.no_grad():
        restored, spent = network.adapt(lq)
        torch.testing.assert_close(restored, network(lq))
    assert spent.dtype == torch.int64
    assert spent.tolist() == [multiply_adds(network, (1, *lq.shape[1:]))] * 9


# Training


def test_every_update_trains_all_widths() -> None:
    network = built()
    losses = SMALL.objective(network, l1_loss)(*pairs(4), 0.5)
    assert list(losses) == ["width_2", "width_4", "width_6"]
    expected = [(network.way(n, pairs(4)[0]) - pairs(4)[1]).abs().mean().item() / 3 for n in (1, 2, 3)]
    assert [loss.item() for loss in losses.values()] == pytest.approx(expected)


def test_each_update_draws_one_width_that_depends_only_on_the_step() -> None:
    network, (lq, gt) = built(), pairs(4)
    objective = SMALL.replace(learn="one").objective(network, l1_loss)
    alone = [(network.way(n, lq) - gt).abs().mean().item() for n in (1, 2, 3)]
    drawn = []
    for step in range(40):
        torch.manual_seed(step)  # the objective must not depend on other random draws
        (loss,) = objective(lq, gt, step / 39).values()
        assert loss.item() == objective(lq, gt, step / 39)["image"].item()
        drawn.append(min(range(3), key=lambda n: abs(alone[n] - loss.item())))
        assert loss.item() == pytest.approx(alone[drawn[-1]])
    assert set(drawn) == {0, 1, 2}


@pytest.mark.parametrize("learn", ["all", "one"])
def test_gradients_reach_every_parameter(learn: Any) -> None:
    network = built()
    objective = SMALL.replace(learn=learn).objective(network, l1_loss)
    torch.stack(list(objective(*pairs(4), 0.0).values())).sum().backward()
    assert all(parameter.grad is not None for parameter in objective.parameters())  # as several processes need it


def test_a_few_training_steps_beat_the_interpolation() -> None:
    torch.manual_seed(0)
    losses = learning.losses(ARM(widths=(4, 8), shrink=6, layers=2, skip="bicubic").build(TASK), scale=2)
    assert losses[-1] < 0.97 * losses[0]


# The table and the budget


@settings(deadline=None, max_examples=10)
@given(count=st.integers(1, 40), bins=st.integers(1, 20), alike=st.booleans())
def test_the_table_increases_with_the_width_and_has_no_empty_bin(count: int, bins: int, alike: bool) -> None:
    network = built(SMALL.replace(bins=bins))
    lq, gt = pairs(count)
    if alike:
        lq, gt = lq[:1].expand(count, -1, -1, -1), gt[:1].expand(count, -1, -1, -1)
    network.set_budget(0.5, lq, gt)
    table = network.expected.table
    assert table.shape == (bins, 4)
    assert (table.diff(dim=1) >= 0).all()
    assert (
        table[:, 0] >= psnr(upsample(lq, 2, "bicubic"), gt).min() - 1e-3
    ).all()  # measured, not the noise or the zeros of an empty bin


def test_the_table_of_an_untrained_network_is_measured_and_made_monotonic() -> None:
    network, (lq, gt) = built(), pairs(64)
    network.set_budget(0.5, lq, gt)
    with torch.no_grad():
        reached = torch.stack([psnr(network.way(n, lq), gt) for n in range(4)], dim=1)
    bins = network.expected.bin_of(network.expected.edges(lq))
    raw = torch.stack([reached[bins == n].mean(dim=0) for n in range(16)])
    assert (raw.diff(dim=1) < 0).any()  # an untrained width does worse
    torch.testing.assert_close(network.expected.table, raw.cummax(dim=1).values, atol=1e-4, rtol=0)


@pytest.mark.parametrize("make", [built, trained])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0])
def test_a_budget_is_spent_within_2_percent(make: Any, share: float) -> None:
    network, (lq, gt) = make(), pairs(128)
    network.set_budget(share, lq, gt)
    _, spent = network.adapt(lq)
    whole = multiply_adds(network, (1, *lq.shape[1:])) * len(lq)
    assert share - 0.02 < spent.sum().item() / whole <= share


def test_a_budget_out_of_range_selects_the_nearest() -> None:
    network, (lq, gt) = built(), pairs(20)
    network.set_budget(0.0, lq, gt)
    restored, spent = network.adapt(lq)
    assert not spent.any()
    torch.testing.assert_close(restored, upsample(lq, 2, "bicubic"))
    network.set_budget(1.5, lq, gt)
    assert (network.adapt(lq)[1] == network.costs((3, 12, 12))[-1]).all()


def test_a_tile_is_restored_by_the_width_of_its_cost_and_each_width_runs_once() -> None:
    network, (lq, gt) = trained(), pairs(128)
    network.set_budget(0.5, lq, gt)
    calls = list[int]()
    network.sliced.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    with torch.no_grad():
        restored, spent = network.adapt(lq)
        costs = network.costs(lq.shape[1:]).tolist()
        numbers = [costs.index(cost_of_tile) for cost_of_tile in spent.tolist()]
        assert sorted(calls) == sorted(numbers.count(n) for n in (1, 2, 3) if n in numbers)
        assert len(set(numbers)) > 2
        for n in set(numbers):
            own = torch.tensor(numbers) == n
            torch.testing.assert_close(restored[own], network.way(n, lq[own]))


def test_a_budget_is_spent_on_the_tiles_with_the_largest_predicted_gain() -> None:
    network, (lq, gt) = trained(), pairs(128)
    network.set_budget(0.5, lq, gt)
    _, spent = network.adapt(lq)
    gain = network.expected(lq)[:, -1] - network.expected(lq)[:, 0]
    whole = spent == spent.max()
    assert gain[whole].mean() > gain[~whole].mean()


def test_a_tile_result_does_not_depend_on_the_batch() -> None:
    network, (lq, gt) = trained(), pairs(64)
    network.set_budget(0.6, lq, gt)
    together, spent = network.adapt(lq)
    for n in range(0, 64, 9):
        alone, cost = network.adapt(lq[n : n + 1])
        assert cost[0] == spent[n]
        torch.testing.assert_close(alone[0], together[n])


def test_the_table_equals_that_of_the_edge_table_classifier() -> None:
    assert isinstance(built().expected, layers.EdgeTable)


# Documentation


def test_the_readme_figures_equal_the_counted_ones() -> None:
    with torch.device("meta"):
        network = ARM().build(PlainTask(scale=4))
        three = sum(parameters(FSRCNN(channels=width).build(PlainTask(scale=4))) for width in ARM().widths)
    assert isinstance(network, Network)
    costs = network.costs((3, TILE, TILE)).tolist()
    text = README.read_text()
    for name, cost_of_tile in zip(("bicubic", *network.widths), costs, strict=True):
        counted = f"{cost_of_tile / 1e6:.2f} M" if cost_of_tile else "0"
        assert f"| {name} | {counted} | {cost_of_tile / costs[-1]:.0%} |".replace("%", " %") in text
    assert f"{parameters(network):,}" in text
    assert f"{three:,} parameters" in text
    assert f"{sum(costs) / costs[-1]:.1f} times" in text
