"""Claims about lowvision-search."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lowvision import Backbone
from lowvision.routing.cost import multiply_adds
from lowvision.testing import PlainTask, check_backbone, check_plugin, check_reducer, measured_reach
from lowvision_search import Block, Search, Searched, Supernet
from lowvision_search.sparsestmax import largest_radius, sparsestmax

SMALL = Supernet(channels=8, layers=3, skip="bicubic")
TASK = PlainTask(scale=2)
VECTORS = st.integers(2, 6).flatmap(lambda count: st.lists(st.floats(-3, 3), min_size=count, max_size=count))
SHARES = st.floats(0, 1)


def settled(backbone: Supernet = SMALL, seed: int = 0, task: PlainTask = TASK) -> nn.Module:
    """A network whose gates, whatever they hold, are closed; none of its layers is faint."""
    torch.manual_seed(seed)
    network = backbone.build(task).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.dim() > 1 else 1))
    network.gates.close(1)  # type: ignore[operator, union-attr]  # that network has it
    return network


# Sparsestmax


def sparsemax(logits: Tensor) -> Tensor:
    """By bisection of the threshold (Martins and Astudillo 2016)."""
    low, high = logits.min() - 1, logits.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (logits - middle).clamp_min(0).sum() > 1 else (low, middle)
    return (logits - low).clamp_min(0)


def allowed(near: np.ndarray, radius: float, seed: int) -> np.ndarray:
    """(N,K) points of the simplex at least `radius` from its middle: anywhere, at its corners, and near one point."""
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
def test_no_point_that_is_allowed_is_nearer(values: list[float], share: float, seed: int) -> None:
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
def test_without_a_radius_it_is_sparsemax(values: list[float]) -> None:
    logits = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(sparsestmax(logits, 0.0), sparsemax(logits), atol=1e-5, rtol=0)


@settings(deadline=None, max_examples=60)
@given(values=VECTORS)
def test_at_the_largest_radius_it_is_exactly_one_hot(values: list[float]) -> None:
    logits = torch.tensor(values)
    p = sparsestmax(logits, largest_radius(len(values)))
    assert sorted(p.tolist()) == [0.0] * (len(values) - 1) + [1.0]
    assert logits[p.argmax()] >= logits.max() - 1e-5


@settings(deadline=None, max_examples=30)
@given(count=st.integers(3, 6), share=st.floats(0.05, 0.95), seed=st.integers(0, 999))
def test_its_gradient_is_that_of_differences(count: int, share: float, seed: int) -> None:
    logits = torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    radius = share * largest_radius(count)
    supports = [(sparsestmax(logits.detach() + shift, radius) > 0).sum() for shift in 1e-4 * torch.eye(count).double()]
    if len(set(map(int, supports))) == 1:  # elsewhere there is none
        assert torch.autograd.gradcheck(lambda z: sparsestmax(z, radius), (logits,), eps=1e-7, atol=1e-4)


def test_two_alternatives_are_as_far_apart_as_the_radius_says() -> None:
    p = sparsestmax(torch.tensor([0.1, 0.0]), 0.5)
    assert p.tolist() == pytest.approx([0.5 + 0.5 / sqrt(2), 0.5 - 0.5 / sqrt(2)])


# The networks


def test_the_plugin_offers_two_backbones_and_a_reducer() -> None:
    assert check_plugin("lowvision_search") == {"backbones": ["searched", "supernet"], "reducers": ["search"]}


@pytest.mark.parametrize(
    "backbone",
    [
        Searched(channels=6, blocks=(Block(channels=4), Block(channels=5, kernels=(1, 3))), skip="bicubic"),
        Supernet(channels=8, layers=2),
    ],
    ids=["searched", "supernet"],
)
def test_they_keep_the_contract_of_a_backbone(backbone: Backbone) -> None:
    # A supernet sorts logits, which the exporter cannot write; what it finds is what one exports.
    check_backbone(backbone, tasks=[TASK], exportable=isinstance(backbone, Searched))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 9999), layers=st.integers(1, 4), scale=st.integers(1, 4), side=st.integers(3, 12))
def test_what_was_found_computes_the_same_at_the_cost_that_was_expected(
    seed: int, layers: int, scale: int, side: int
) -> None:
    backbone, task = Supernet(channels=8, layers=layers, skip="bicubic"), PlainTask(scale=scale)
    network = settled(backbone, seed, task)
    reduced = Search().reduce_trained(backbone, "found", network)
    smaller = reduced.build(task)
    assert Search().inherit(network, smaller)
    tiles = torch.rand(2, 3, side, side + 1)
    with torch.no_grad():
        wanted = network(tiles)
        torch.testing.assert_close(smaller(tiles), wanted, atol=1e-5 * max(1, wanted.abs().max().item()), rtol=0)
    expected = network.expected_cost(network.gates()) * side * (side + 1)  # type: ignore[operator]  # that network has it
    assert multiply_adds(smaller, (1, 3, side, side + 1)) == int(expected)
    assert network.full_cost() == multiply_adds(_full(backbone).build(task), (1, 3, 1, 1))  # type: ignore[operator]


def _full(backbone: Supernet) -> Searched:
    """Everything that it holds, at full width."""
    return Searched(
        channels=backbone.channels, blocks=(Block(channels=backbone.channels),) * backbone.layers, skip=backbone.skip
    )


def test_a_step_costs_what_the_full_network_s_does() -> None:
    shape = (1, 3, 8, 8)
    assert multiply_adds(SMALL.build(TASK), shape) == multiply_adds(_full(SMALL).build(TASK), shape)


def test_search_is_a_reducer_of_trained_weights() -> None:
    check_reducer(Search(), SMALL, ["found"], task=TASK, trained=settled())


def test_what_is_found_reaches_as_far_as_its_kernels() -> None:
    found = Search().reduce_trained(SMALL, "found", settled())
    assert measured_reach(found, TASK, 12) == found.reach(TASK)
