"""Claims about lowvision-search."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from lowvision import Backbone, resize, upsample
from lowvision.commands import convert
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.plugins import registry
from lowvision.routing.cost import multiply_adds
from lowvision.testing import PlainTask, check_backbone, check_plugin, check_reducer, measured_reach
from lowvision_search import Block, Search, Searched, Supernet
from lowvision_search.gates import Gates
from lowvision_search.sparsestmax import largest_radius, sparsestmax

SMALL = Supernet(channels=8, layers=3, skip="bicubic")
TASK = PlainTask(scale=2)
VECTORS = st.integers(2, 6).flatmap(lambda count: st.lists(st.floats(-3, 3), min_size=count, max_size=count))
SHARES = st.floats(0, 1)


def closed_supernet(backbone: Supernet = SMALL, seed: int = 0, task: PlainTask = TASK) -> nn.Module:
    """Build a network with closed gates and random weights in every layer."""
    torch.manual_seed(seed)
    network = backbone.build(task).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.dim() > 1 else 1))
    network.gates.close(1)  # type: ignore[operator, union-attr]  # that network has it
    return network


# Sparsestmax


def sparsemax(logits: Tensor) -> Tensor:
    """Compute sparsemax by bisection of the threshold (Martins and Astudillo 2016)."""
    low, high = logits.min() - 1, logits.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (logits - middle).clamp_min(0).sum() > 1 else (low, middle)
    return (logits - low).clamp_min(0)


def allowed(near: np.ndarray, radius: float, seed: int) -> np.ndarray:
    """Return (N,K) points of the simplex at least `radius` from its centre: random, corners, and near one point."""
    draw, count = np.random.default_rng(seed), len(near)
    around = np.abs(near + draw.normal(size=(4000, count)) * 10 ** draw.uniform(-4, 0, size=(4000, 1)))
    around /= around.sum(axis=1, keepdims=True)
    points = np.concatenate([draw.dirichlet(np.full(count, 0.5), 4000), around, np.eye(count)])
    offsets = points - 1 / count
    lengths = np.linalg.norm(offsets, axis=1, keepdims=True)
    pushed = 1 / count + offsets * np.maximum(1, radius / np.maximum(lengths, 1e-12))
    return pushed[pushed.min(axis=1) >= 0]


@settings(deadline=None, max_examples=60)
@given(values=VECTORS, share=SHARES, seed=st.integers(0, 99))
def test_sparsestmax_returns_the_nearest_feasible_point(values: list[float], share: float, seed: int) -> None:
    radius = share * largest_radius(len(values))
    logits = np.array(values)
    p = sparsestmax(torch.tensor(values, dtype=torch.float64), radius).numpy()
    assert p.sum() == pytest.approx(1)
    assert p.min() >= 0
    assert np.linalg.norm(p - 1 / len(p)) >= radius - 1e-5
    others = allowed(p, radius, seed)
    nearest = np.square(others - logits).sum(axis=1).min()
    assert np.square(p - logits).sum() <= nearest + 2e-5 * (1 + np.abs(logits).max())


@settings(deadline=None, max_examples=60)
@given(values=VECTORS)
def test_sparsestmax_of_radius_zero_equals_sparsemax(values: list[float]) -> None:
    logits = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(sparsestmax(logits, 0.0), sparsemax(logits), atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=60)
@given(values=VECTORS)
def test_sparsestmax_at_the_largest_radius_is_one_hot(values: list[float]) -> None:
    logits = torch.tensor(values)
    p = sparsestmax(logits, largest_radius(len(values)))
    assert sorted(p.tolist()) == [0.0] * (len(values) - 1) + [1.0]
    assert logits[p.argmax()] >= logits.max() - 1e-5


@settings(deadline=None, max_examples=30)
@given(count=st.integers(3, 6), share=st.floats(0.05, 0.95), seed=st.integers(0, 999))
def test_the_gradient_equals_finite_differences(count: int, share: float, seed: int) -> None:
    logits = torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    radius = share * largest_radius(count)
    supports = [(sparsestmax(logits.detach() + shift, radius) > 0).sum() for shift in 1e-4 * torch.eye(count).double()]
    if len(set(map(int, supports))) == 1:  # elsewhere there is none
        assert torch.autograd.gradcheck(lambda z: sparsestmax(z, radius), (logits,), eps=1e-7, atol=1e-4)


def test_two_alternatives_have_the_distance_of_the_radius() -> None:
    p = sparsestmax(torch.tensor([0.1, 0.0]), 0.5)
    assert p.tolist() == pytest.approx([0.5 + 0.5 / sqrt(2), 0.5 - 0.5 / sqrt(2)])


# The networks


def test_the_plugin_registers_two_backbones_and_a_reducer() -> None:
    assert check_plugin("lowvision_search") == {"backbones": ["searched", "supernet"], "reducers": ["search"]}


@pytest.mark.parametrize(
    "backbone",
    [
        Searched(channels=6, blocks=(Block(channels=4), Block(channels=5, kernels=(1, 3))), skip="bicubic"),
        Supernet(channels=8, layers=2),
    ],
    ids=["searched", "supernet"],
)
def test_both_backbones_pass_the_backbone_check(backbone: Backbone) -> None:
    # A supernet sorts logits, which the exporter does not support; the searched network is exported instead.
    check_backbone(backbone, tasks=[TASK], exportable=isinstance(backbone, Searched))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 9999), layers=st.integers(1, 4), scale=st.integers(1, 4), side=st.integers(3, 12))
def test_the_searched_network_equals_its_supernet_at_the_predicted_cost(
    seed: int, layers: int, scale: int, side: int
) -> None:
    backbone, task = Supernet(channels=8, layers=layers, skip="bicubic"), PlainTask(scale=scale)
    network = closed_supernet(backbone, seed, task)
    reduced = Search().reduce_trained(backbone, "found", network)
    smaller = reduced.build(task)
    assert Search().inherit(network, smaller)
    tiles = torch.rand(2, 3, side, side + 1)
    with torch.no_grad():
        supernet_output = network(tiles)
        torch.testing.assert_close(
            smaller(tiles), supernet_output, atol=1e-5 * max(1, supernet_output.abs().max().item()), rtol=0
        )
    expected = network.expected_cost(network.gates()) * side * (side + 1)  # type: ignore[operator]  # that network has it
    assert multiply_adds(smaller, (1, 3, side, side + 1)) == int(expected)
    assert network.full_cost() == multiply_adds(_full(backbone).build(task), (1, 3, 1, 1))  # type: ignore[operator]


def _full(backbone: Supernet) -> Searched:
    """Return the supernet with all blocks at full width."""
    return Searched(
        channels=backbone.channels, blocks=(Block(channels=backbone.channels),) * backbone.layers, skip=backbone.skip
    )


def test_a_search_step_costs_as_much_as_one_of_the_full_network() -> None:
    shape = (1, 3, 8, 8)
    assert multiply_adds(SMALL.build(TASK), shape) == multiply_adds(_full(SMALL).build(TASK), shape)


def test_the_search_reducer_reads_trained_weights() -> None:
    check_reducer(Search(), SMALL, ["found"], task=TASK, trained=closed_supernet())


def test_the_searched_network_has_the_reach_of_its_kernels() -> None:
    searched = Search().reduce_trained(SMALL, "found", closed_supernet())
    assert measured_reach(searched, TASK, 12) == searched.reach(TASK)


# A search from its first step to its file


def trained_supernet(backbone: Supernet, steps: int = 40) -> nn.Module:
    """Train a supernet for a few steps of its objective, on squares with hard edges."""
    torch.manual_seed(0)
    network = backbone.build(TASK).train()
    objective = backbone.objective(network, l1_loss)
    squares = (torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    gt = upsample(squares, 4, "nearest")
    lq, adam = resize(gt, (16, 16)), torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(steps):
        losses = objective(lq, gt, step / (steps - 1))
        adam.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        adam.step()
    return network.eval()


def cost_share(network: nn.Module) -> float:
    """Return the cost of the searched network as a share of the full network's."""
    return network.expected_cost(network.gates()).item() / network.full_cost()  # type: ignore[operator]


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    return trained_supernet(SMALL)


def test_every_gate_is_one_hot_at_the_end_of_a_stage(trained: nn.Module) -> None:
    for probabilities in trained.gates._probabilities():  # type: ignore[operator, union-attr]  # that network has them
        assert set(probabilities.flatten().tolist()) == {0.0, 1.0}
    searched = Search().reduce_trained(SMALL, "found", trained)
    assert isinstance(searched, Searched)
    assert searched.skip == SMALL.skip


def test_gates_close_block_by_block_and_keep_leading_channels() -> None:
    gates, seen = Gates(8, 3), []
    for share in (0.0, 0.3, 0.6, 1.0):
        gates.close(share)
        opening = gates()
        assert (opening.channels.diff(dim=1) <= 1e-6).all()
        torch.testing.assert_close(opening.channels.sum(dim=1), opening.widths)
        widths, _ = gates._probabilities()
        seen.append(int((widths.amax(dim=1) == 1).sum()))
    assert seen == [0, 2, 2, 4]  # the features between the blocks close with the first block


def test_a_smaller_target_cost_selects_a_cheaper_network() -> None:
    cheaper, costlier = (cost_share(trained_supernet(SMALL.replace(cost=cost, mu=1.0))) for cost in (0.15, 0.7))
    assert cheaper < 0.3 < 0.5 < costlier


def test_the_gates_of_a_moving_average_close_with_its_network(trained: nn.Module) -> None:
    from timm.utils import ModelEmaV3

    average = ModelEmaV3(SMALL.build(TASK), decay=0.999)
    average.update(trained, step=1)
    assert Search().reduce_trained(SMALL, "found", average.module)


def test_convert_writes_the_searched_network_with_equal_results_at_lower_cost(
    trained: nn.Module, tmp_path: Path
) -> None:
    path, output, known = tmp_path / "supernet.safetensors", tmp_path / "found.safetensors", registry.load()
    architecture = Architecture.model_validate({"task": {"sr": {"scale": 2}}, "branches": (SMALL,)}, context=known)
    weights.save(path, trained, architecture, known, {"psnr_rgb": 30.0})
    reduction = convert.parse_reduction("{search: found}", known)
    assert convert.reduce(path, output, known, reduction) == f"{output}: searched for sr x2, 1 of 1 reduced"
    header = weights.read_header(output, known)
    assert header.measured == {"psnr_rgb": 30.0}
    small = weights.load_network(output, header.architecture, known).eval()
    tiles = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(small(tiles), trained(tiles), atol=1e-5, rtol=0)
    assert multiply_adds(small, (1, 3, 16, 16)) < multiply_adds(trained, (1, 3, 16, 16))


def test_unfinished_searches_and_other_networks_are_refused(trained: nn.Module) -> None:
    fresh = SMALL.build(TASK)
    with pytest.raises(ValueError, match="its search is not finished"):
        Search().reduce_trained(SMALL, "found", fresh)
    assert not Search().inherit(fresh, Search().reduce_trained(SMALL, "found", trained).build(TASK))
    assert not Search().inherit(trained, Searched(channels=4, blocks=()).build(TASK))
    with pytest.raises(ValueError, match="lowvision convert WEIGHTS"):
        Search().reduce(SMALL, "found")
    with pytest.raises(ValueError, match="set the cost by the supernet's option `cost`"):
        Search().reduce(SMALL, 0.5)
    with pytest.raises(ValueError, match="Searched is no supernet"):
        Search().reduce_trained(Searched(), "found", trained)
