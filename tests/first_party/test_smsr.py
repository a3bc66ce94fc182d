"""Claims about lowvision-smsr; the constants are printed in the paper, or follow from its description."""

from __future__ import annotations

import copy
from functools import cache

import learning
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import l1_loss
from torch.utils.flop_counter import FlopCounterMode

from lowvision import Backbone, multiply_adds
from lowvision.routing.cost import parameters
from lowvision.testing import PlainTask, check_backbone, check_plugin, networks
from lowvision.testing.backbones import subject_of
from lowvision_reducers import Channels, Layers
from lowvision_smsr import SMSR, sparse
from lowvision_smsr.masks import hard, kept_share, soft
from lowvision_smsr.modules import SparseModule
from lowvision_smsr.objective import LEVELS, Objective, Schedule
from lowvision_smsr.smsr import ALL, TOLERANCE, Network

SMALL = SMSR(channels=8, layers=2)
TILE = 16
PAPER = Schedule(sparsity=0.1, rise=0.05, tau=0.4, fall=0.3)
EPOCHS = 1000
"""Values of the paper."""


@cache
def blueprint(backbone: Backbone, scale: int) -> nn.Module:
    """Build a network on the meta device: shapes without weights."""
    with torch.device("meta"):
        return backbone.build(PlainTask(scale=scale))


def built(backbone: SMSR = SMALL, seed: int = 0) -> Network:
    """Build a network in eval mode and float64, with random weights in every layer."""
    torch.manual_seed(seed)
    network = backbone.build(PlainTask(scale=2)).double().eval()
    assert isinstance(network, Network)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=0.1)
    return network


def tiles(count: int = 4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, TILE, TILE, generator=generator, dtype=torch.float64)


def mark_every_position(network: Network) -> None:
    """Make the mask heads mark every position for any input."""
    with torch.no_grad():
        for module in network.modules_of_body():
            module.mask.last.weight.zero_()
            module.mask.last.bias.copy_(torch.tensor([0.0, 1.0]))  # type: ignore[union-attr]  # it has one


def set_sparse(network: Network, count: int) -> None:
    """Make the last `count` channels of every layer sparse, the others dense."""
    with torch.no_grad():
        for module in network.modules_of_body():
            for layer in module.layers():
                layer.logits.zero_()
                layer.logits[:, 0] = 0.5
                layer.logits[len(layer.logits) - count :, 1] = 1


def test_the_plugin_registers_the_backbone() -> None:
    assert check_plugin("lowvision_smsr") == {"backbones": ["smsr"]}


def test_the_backbone_passes_its_check() -> None:
    # Where two logits are nearly equal, half precision marks another position, and then an output is far off.
    check_backbone(SMSR(channels=4, layers=2), half=False, exportable=False)


def test_every_runtime_computes_the_same_from_its_graph() -> None:
    networks.check_export(subject_of(SMSR(channels=4, layers=1), PlainTask(scale=2))[0])  # with all operators


# The paper's numbers


@pytest.mark.parametrize(("scale", "printed"), [(2, 985), (3, 993), (4, 1006)])
def test_the_network_has_the_parameter_count_of_the_paper(scale: int, printed: int) -> None:
    network = blueprint(SMSR(), scale)
    logits = sum(p.numel() for name, p in network.named_parameters() if name.endswith("logits"))
    assert logits == 5 * 4 * 64 * 2
    assert round((parameters(network) - logits) / 1000) == printed


def test_defaults_are_network_and_schedules_of_the_paper() -> None:
    assert SMSR() == SMSR(
        channels=64, layers=5, skip="bicubic", sparsity=0.1, sparsity_rise=0.05, tau=0.4, tau_fall=0.3
    )


@pytest.mark.parametrize("epoch", [1, 2, 26, 51, 200, 301, 302, 1000])
def test_schedules_equal_those_of_the_paper_as_functions_of_progress(epoch: int) -> None:
    progress = (epoch - 1) / EPOCHS
    assert PAPER.tau_at(progress) == pytest.approx(max(1 - (epoch - 1) / 500, 0.4))
    assert PAPER.weight_at(progress) == pytest.approx(min((epoch - 1) / 50, 1) * 0.1 / LEVELS)


def test_a_schedule_of_length_zero_ends_at_once() -> None:
    at_once = Schedule(sparsity=1.0, rise=0.0, tau=0.4, fall=0.0)
    assert (at_once.tau_at(0.0), at_once.weight_at(0.0)) == (0.4, 1 / LEVELS)


# Sparse and masked-dense


@settings(deadline=None, max_examples=20)
@given(
    batch=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    channels=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_a_sparsely_computed_module_equals_the_masked_one(
    batch: int, height: int, width: int, share: float, channels: int, seed: int
) -> None:
    torch.manual_seed(seed)
    module, features = SparseModule(channels), torch.randn(batch, channels, height, width)
    marked = torch.rand(batch, 1, height, width) < share
    channel_masks = [layer.sparse().float() for layer in module.layers()]
    with torch.no_grad():
        masked = module._masked(features, marked.float(), channel_masks)
        torch.testing.assert_close(
            sparse.run(module, sparse.Prepared.of(module), features, marked), masked, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("count", [0, 3, 8])
@settings(deadline=None, max_examples=5)
@given(batch=st.integers(1, 3), height=st.integers(1, 11), width=st.integers(1, 11))
def test_adapt_equals_forward(count: int, batch: int, height: int, width: int) -> None:
    network = built()
    set_sparse(network, count)
    images = torch.rand(batch, 3, height, width, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network.adapt(images)[0], network(images), rtol=0, atol=1e-6)


def dense_form(network: Network, images: Tensor) -> Tensor:
    """Compute the network without masks, from its weights."""
    features = shallow = network.head(network.mean.sub(images))
    deviations = []
    for module in network.modules_of_body():
        features_, outputs = features, []
        for layer in module.layers():
            features_ = functional.relu(functional.conv2d(features_, layer.convolution.weight, padding=1))
            outputs.append(features_)
        features = features + module.attention(module.collect(outputs))
        deviations.append(features)
    return network._image(images, shallow, deviations)


@torch.no_grad()
def test_with_every_position_marked_the_network_equals_the_dense_one() -> None:
    network, images = built(), tiles()
    assert not torch.allclose(network(images), dense_form(network, images))
    mark_every_position(network)
    torch.testing.assert_close(network(images), dense_form(network, images))
    torch.testing.assert_close(network.adapt(images)[0], dense_form(network, images))


# Cost


@settings(deadline=None, max_examples=8)
@given(
    batch=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    count=st.sampled_from([None, 0, 3, 8]),
    offset=st.sampled_from([-ALL, -0.3, 0.0, 0.3, ALL]),
)
def test_the_reported_cost_equals_the_computed_multiply_adds(
    batch: int, height: int, width: int, count: int | None, offset: float
) -> None:
    network = built()
    if count is not None:
        set_sparse(network, count)
    network.offset.fill_(offset)
    images = torch.rand(batch, 3, height, width, dtype=torch.float64)
    spent = network.adapt(images)[1]
    with FlopCounterMode(display=False) as counter:
        network.adapt(images)
    assert counter.get_total_flops() == 2 * int(spent.sum())
    for image, own in zip(images, spent, strict=True):
        assert network.adapt(image[None])[1] == own


def test_with_every_position_marked_the_cost_equals_the_static_graph() -> None:
    network, images = built(), tiles(2)
    dense = multiply_adds(network, (1, 3, TILE, TILE))
    mark_every_position(network)
    assert network.adapt(images)[1].tolist() == [dense, dense]


def test_each_unmarked_position_saves_the_same_cost() -> None:
    network = built(SMSR(channels=8, layers=1))
    (module,) = network.modules_of_body()
    set_sparse(network, 3)
    # 3 of 8 channels are sparse: the first layer saves their outputs, the others also their inputs.
    assert sparse.saving(module) == 9 * (8 * 3 + 3 * (3 * 5 + 8 * 3)) + 4 * 3 * 8
    dense = multiply_adds(network, (1, 3, TILE, TILE))
    for image in tiles():
        with torch.no_grad():
            shallow = network.head(network.mean.sub(image[None]))
            marked = hard(module.mask(shallow), 1)
        unmarked = int((~marked).sum())
        assert 0 < unmarked < TILE * TILE
        assert network.adapt(image[None])[1] == dense - unmarked * sparse.saving(module)


# Budget


@pytest.mark.parametrize("share", [0.7, 0.8, 0.9])
def test_a_budget_is_met_by_shifting_the_position_logits(share: float) -> None:
    network, images = built(), tiles(12)
    before = network(images)
    network.set_budget(share, images, tiles(12))
    spent = network.adapt(images)[1].double().mean().item() / multiply_adds(network, (1, 3, TILE, TILE))
    assert share * (1 - 5 * TOLERANCE) <= spent <= share
    assert torch.equal(network(images), before)  # the static graph stays


def test_a_larger_budget_is_spent() -> None:
    network, images = built(), tiles(8)
    spent = []
    for share in (0.1, 0.7, 0.85, 1.0):
        network.set_budget(share, images, images)
        spent.append(int(network.adapt(images)[1].sum()))
    assert spent == sorted(set(spent))
    assert spent[-1] == 8 * multiply_adds(network, (1, 3, TILE, TILE))
    network.set_budget(0.1, images, images)  # below the cost of the dense channels, which is the minimum
    assert network.offset == -ALL


def test_a_budget_setting_is_saved_with_the_weights() -> None:
    network, other = built(), built(seed=1)
    network.set_budget(0.8, tiles(), tiles())
    other.load_state_dict(network.state_dict())
    assert other.offset == network.offset != 0
    assert torch.equal(other.adapt(tiles())[1], network.adapt(tiles())[1])


# How it learns


def test_soft_masks_approach_hard_masks_as_the_temperature_falls() -> None:
    logits = torch.randn(4000, 2) * 3
    expected = hard(logits, 1).float()
    torch.manual_seed(0)
    drawn = [soft(logits, 1, torch.tensor(tau)) for tau in (1.0, 0.4, 0.01)]
    assert all(((mask >= 0) & (mask <= 1)).all() for mask in drawn)
    undecided = [(mask * (1 - mask)).mean() for mask in drawn]
    assert undecided == sorted(undecided, reverse=True)
    assert undecided[-1] < 1e-2
    assert (drawn[-1].round() == expected).float().mean() > 0.8  # noise decides where logits hardly differ


def test_kept_positions_are_dense_or_marked() -> None:
    marked, channels = torch.tensor([1.0, 0, 0, 1]).view(1, 1, 2, 2), torch.tensor([1.0, 0, 1, 1])
    everywhere = 1 - channels[:, None, None] * (1 - marked)
    torch.testing.assert_close(kept_share(marked, channels), everywhere.mean())


def test_the_objective_is_l1_plus_the_weighted_kept_share() -> None:
    network = SMALL.build(PlainTask(scale=2)).train()
    objective = SMALL.replace(sparsity=5.0).objective(network, l1_loss)
    lq, gt = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    losses = objective(lq, gt, 1.0)
    assert set(losses) == {"image", "masks"}
    assert 0.5 * 5 / LEVELS < losses["masks"] < 5 / LEVELS  # at first, somewhat more than half is kept
    assert objective(lq, gt, 0.0)["masks"] == 0
    assert network.get_buffer("tau") == 1
    objective(lq, gt, 1.0)
    assert network.get_buffer("tau") == pytest.approx(0.4)
    assert network.state_dict()["tau"] == pytest.approx(0.4)


def share_kept_after_training(sparsity: float) -> float:
    """Train a few steps with that weight, and return the mean share of forward's multiply-adds that adapt spends."""
    torch.manual_seed(0)
    network = SMALL.build(PlainTask(scale=2)).train()
    assert isinstance(network, Network)
    objective = Objective(network, Schedule(sparsity=sparsity, rise=0.05, tau=0.4, fall=0.3), l1_loss)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    lq = tiles(4).float()
    gt = functional.interpolate(lq, scale_factor=2.0, mode="bicubic")
    for step in range(40):
        torch.stack(list(objective(lq, gt, step / 39).values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    spent = network.eval().adapt(lq)[1].double().mean().item()
    return spent / multiply_adds(network, (1, 3, TILE, TILE))


def test_a_larger_sparsity_weight_keeps_less() -> None:
    free, sparse_share = share_kept_after_training(0.0), share_kept_after_training(100.0)
    assert sparse_share < 0.75 * free


def test_the_initial_network_is_the_skip_and_training_improves_it() -> None:
    torch.manual_seed(0)
    losses = learning.losses(SMSR(channels=16, layers=2).build(PlainTask(scale=2)), scale=2)
    assert min(losses[-3:]) < 0.97 * losses[0]


# Inheritance of weights


@pytest.mark.parametrize(("reducer", "level"), [(Channels(), 8), (Layers(), 1)])
def test_a_smaller_network_inherits_slices(reducer: Channels | Layers, level: int) -> None:
    base = SMSR(channels=16, layers=2)
    larger, smaller = built(base), built(reducer.reduce(base, level))  # type: ignore[arg-type]  # it stays SMSR
    assert reducer.inherit(larger, smaller)
    logits = smaller.modules_of_body()[0].layers()[0].logits
    rows = larger.modules_of_body()[0].layers()[0].logits
    assert all((rows == row).all(dim=1).any() for row in logits)


def waits(network: Network, tiles: Tensor) -> int:
    """Count the operations of `adapt` that synchronise an accelerator: the size of their result depends on values."""
    network.adapt(tiles)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        network.adapt(tiles)
    return sum(event.name in ("aten::_local_scalar_dense", "aten::nonzero") for event in profiler.events())


def test_a_batch_synchronises_once_per_module_for_any_size() -> None:
    torch.manual_seed(0)
    network = Network(colours=3, scale=2, channels=8, layers=3, skip="bicubic").eval()
    assert waits(network, torch.rand(2, 3, 12, 12)) == waits(network, torch.rand(9, 3, 12, 12)) == 3


def test_split_weights_are_recomputed_after_changes_and_per_copy() -> None:
    torch.manual_seed(0)
    network = Network(colours=3, scale=2, channels=8, layers=2, skip="bicubic").eval()
    tiles = torch.rand(2, 3, 12, 12)
    network.adapt(tiles)
    copied = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in copied.body.parameters():
            parameter.mul_(-0.5)
    torch.testing.assert_close(copied.adapt(tiles)[0], copied(tiles))
    torch.testing.assert_close(network.adapt(tiles)[0], network(tiles))
    assert not torch.allclose(copied(tiles), network(tiles))
