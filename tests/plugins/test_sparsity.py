"""Claims about lowvision-sparsity."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lowvision import Backbone, Task
from lowvision.testing import PlainTask, check_backbone, check_plugin, check_reducer
from lowvision_sparsity import Sparse, Sparsity
from lowvision_sparsity.blocks import Blocks, kept_of, nearest_divisor
from lowvision_sparsity.pruning import ramp, sparse_weights
from lowvision_sr import CARN, FSRCNN

SMALL = CARN(channels=8, layers=1, groups=2, skip="bicubic")
HALF = Sparse(backbone=SMALL, sparsity=0.5)
TASK = PlainTask(scale=2)


def seeded(backbone: Backbone, task: Task = TASK, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return backbone.build(task)


def batch(seed: int = 0, scale: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, 8, 8, generator=generator), torch.rand(2, 3, 8 * scale, 8 * scale, generator=generator)


def non_zeros(network: nn.Module) -> list[tuple[set[int], int]]:
    """Of every sparse layer: how many non-zeros its blocks have, and how many they should have."""
    found = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and "parametrizations" in dict(module.named_children()):
            ((_, balanced),) = sparse_weights(module)
            counts = balanced.blocks.cut(module.weight).count_nonzero(dim=-1)
            found.append(({*counts.flatten().tolist()}, balanced.blocks.kept))
    return found


def assert_balanced(network: nn.Module, kept: int | None = None) -> None:
    layers = non_zeros(network)
    assert layers
    assert all(counts == {wanted} for counts, wanted in layers), layers
    assert kept is None or {wanted for _, wanted in layers} == {kept}


# Blocks


@given(
    out=st.integers(1, 4),
    row=st.sampled_from([(4, 3, 3), (3, 1, 1), (8, 1, 3), (5, 3, 3), (1, 1, 1)]),
    groups=st.sampled_from([0, 1, 2]),
    size=st.integers(2, 32),
    sparsity=st.floats(0.01, 0.99),
)
@settings(deadline=None, max_examples=60)
def test_every_block_keeps_its_largest_and_a_weight_is_put_together_again(
    out: int, row: tuple[int, int, int], groups: int, size: int, sparsity: float
) -> None:
    inputs, *kernel = row
    layer: nn.Conv2d | nn.ConvTranspose2d = nn.Conv2d(inputs, out, tuple(kernel))  # type: ignore[arg-type]  # two numbers
    if groups:
        layer = nn.ConvTranspose2d(inputs * groups, out * groups, tuple(kernel), groups=groups)  # type: ignore[arg-type]
    blocks = Blocks.of(layer, sparsity, size)
    cut = blocks.cut(layer.weight)
    assert cut.shape == (layer.out_channels, inputs * kernel[0] * kernel[1] // blocks.size, blocks.size)
    assert torch.equal(blocks.join(cut, layer.weight.shape), layer.weight)
    mask = blocks.cut(blocks.ranks(layer.weight) < blocks.kept)
    assert {*mask.sum(dim=-1).flatten().tolist()} == {blocks.kept}
    magnitudes = cut.detach().abs()
    least_kept = magnitudes.masked_fill(~mask, float("inf")).amin(dim=-1)
    assert (magnitudes.masked_fill(mask, 0).amax(dim=-1) <= least_kept).all()


def test_a_row_of_a_transposed_convolution_is_what_makes_one_channel() -> None:
    layer = nn.ConvTranspose2d(4, 6, (1, 2), groups=2)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(24.0).reshape(4, 3, 1, 2))
    row = Blocks(4, 1, groups=2).cut(layer.weight)[4].flatten()  # the second channel of the second group
    assert row.tolist() == [*layer.weight[2, 1].flatten().tolist(), *layer.weight[3, 1].flatten().tolist()]


@pytest.mark.parametrize(
    ("row", "size", "wanted"), [(144, 16, 16), (81, 16, 27), (81, 12, 9), (53, 16, 53), (1, 16, 1)]
)
def test_a_block_is_the_nearest_that_divides_the_row(row: int, size: int, wanted: int) -> None:
    assert nearest_divisor(row, size) == wanted


@pytest.mark.parametrize(("size", "sparsity", "kept"), [(16, 0.75, 4), (16, 0.99, 1), (9, 0.75, 2), (9, 0.01, 9)])
def test_shares_become_whole_weights_and_one_always_stays(size: int, sparsity: float, kept: int) -> None:
    assert kept_of(size, sparsity) == kept


def test_equal_weights_are_pruned_to_the_same_number() -> None:
    assert (Blocks(4, 1, 0).ranks(torch.ones(2, 8)) < 1).sum() == 4


# The backbone


def test_the_plugin_offers_backbone_and_reducer() -> None:
    assert check_plugin("lowvision_sparsity") == {"backbones": ["sparse"], "reducers": ["sparsity"]}


def test_a_sparse_network_keeps_the_contract() -> None:
    inner = FSRCNN(channels=12, shrink=4, layers=1)
    check_backbone(Sparse(backbone=inner, sparsity=0.5, ends=True), tasks=[TASK])
    check_backbone(HALF, tasks=[TASK], exportable=False)  # export is as above


def test_a_network_is_as_sparse_as_it_says_from_the_start() -> None:
    assert_balanced(seeded(Sparse(backbone=SMALL, sparsity=0.75, block=8)))


def test_the_first_and_the_last_layer_stay_dense_unless_told() -> None:
    network = seeded(HALF)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(non_zeros(network)) == len(convolutions) - 2
    assert len(non_zeros(seeded(HALF.replace(ends=True)))) == len(convolutions)


def test_weights_are_taken_away_gradually_and_after_every_step_exactly_the_wanted_number_is_left() -> None:
    backbone = Sparse(backbone=SMALL, sparsity=0.75, block=8, settle=0.5)
    network, let_through = seeded(backbone), list[list[set[int]]]()
    objective, optimizer = backbone.objective(network), torch.optim.Adam(network.parameters(), lr=1e-3)
    network.register_forward_pre_hook(lambda module, _: let_through.append([counts for counts, _ in non_zeros(module)]))
    for step in range(9):
        objective(*batch(step), step / 8)["image"].backward()
        optimizer.step()
        optimizer.zero_grad()
        assert_balanced(network)
    sizes = [balanced.blocks.size for _, balanced in sparse_weights(network)]
    assert {*sizes} == {8, 9}
    while_trained = [{8: [8, 5, 3, 2, 2], 9: [9, 5, 3, 2, 2]}[size] + [2] * 4 for size in sizes]  # a cubic ramp
    assert let_through == [[{layer[step]} for layer in while_trained] for step in range(9)]


def test_the_ramp_is_cubic_and_ends() -> None:
    assert [ramp(p) for p in (0, 0.5, 1, 1.5)] == [0, 0.875, 1, 1]


# The reducer


@pytest.mark.parametrize("level", [-0.1, 1, 1.5, "half", True])
def test_levels_that_mean_nothing_are_refused(level: float | str) -> None:
    with pytest.raises(ValueError, match="give the share of weights that are zero"):
        Sparsity().reduce(SMALL, level)


def test_sparse_is_not_made_less_sparse() -> None:
    with pytest.raises(ValueError, match=r"this sparse CARN has 0.5 zeros already; a reducer only makes smaller"):
        Sparsity().reduce(HALF, 0)
    assert Sparsity().reduce(HALF, 0.75) == HALF.replace(sparsity=0.75)
    assert Sparsity().reduce(SMALL, 0) == SMALL


def test_the_reducer_keeps_its_contract_cheaper_in_theory_at_the_same_exact_cost() -> None:
    check_reducer(Sparsity(), SMALL, [0.75, 0.5, 0], task=TASK)
