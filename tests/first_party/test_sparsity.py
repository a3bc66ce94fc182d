"""Claims about lowvision-sparsity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from inheritance import is_scaled_part
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from lowvision import Backbone, ImageLoss, Task, WeightsError
from lowvision.models import weights
from lowvision.plugins import registry
from lowvision.routing.cost import multiply_adds, theoretical_multiply_adds
from lowvision.testing import PlainTask, check_backbone, check_plugin, check_reducer
from lowvision_reducers import Channels
from lowvision_sparsity import Sparse, Sparsity
from lowvision_sparsity.blocks import Blocks, kept_of, nearest_divisor
from lowvision_sparsity.pruning import make_sparse, ramp, sparse_weights
from lowvision_sr import CARN, FSRCNN, SRResNet

README = Path(__file__).parents[2] / "plugins" / "lowvision-sparsity" / "README.md"
SMALL = CARN(channels=8, layers=1, groups=2, skip="bicubic")
HALF = Sparse(of=SMALL, sparsity=0.5)
TASK = PlainTask(scale=2)


def seeded(backbone: Backbone, task: Task = TASK, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return backbone.build(task)


def batch(seed: int = 0, scale: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, 8, 8, generator=generator), torch.rand(2, 3, 8 * scale, 8 * scale, generator=generator)


def non_zeros(network: nn.Module) -> list[tuple[set[int], int]]:
    """Return the actual and the expected number of non-zero weights per block, for every sparse layer."""
    counts_per_layer = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and "parametrizations" in dict(module.named_children()):
            ((_, balanced),) = sparse_weights(module)
            counts = balanced.blocks.cut(module.weight).count_nonzero(dim=-1)
            counts_per_layer.append(({*counts.flatten().tolist()}, balanced.blocks.kept))
    return counts_per_layer


def assert_balanced(network: nn.Module) -> None:
    layers = non_zeros(network)
    assert layers
    assert all(counts == {expected} for counts, expected in layers), layers


# Blocks


@given(
    out=st.integers(1, 4),
    row=st.sampled_from([(4, 3, 3), (3, 1, 1), (8, 1, 3), (5, 3, 3), (1, 1, 1)]),
    groups=st.sampled_from([0, 1, 2]),
    size=st.integers(2, 32),
    sparsity=st.floats(0.01, 0.99),
)
@settings(deadline=None, max_examples=60)
def test_every_block_keeps_its_largest_weights_and_blocks_reassemble_to_the_weight(
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


def test_a_row_of_a_transposed_convolution_holds_the_weights_of_one_output_channel() -> None:
    layer = nn.ConvTranspose2d(4, 6, (1, 2), groups=2)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(24.0).reshape(4, 3, 1, 2))
    row = Blocks(4, 1, groups=2).cut(layer.weight)[4].flatten()  # the second channel of the second group
    assert row.tolist() == [*layer.weight[2, 1].flatten().tolist(), *layer.weight[3, 1].flatten().tolist()]


@pytest.mark.parametrize(
    ("row", "size", "expected"), [(144, 16, 16), (81, 16, 27), (81, 12, 9), (53, 16, 53), (1, 16, 1)]
)
def test_the_block_size_is_the_nearest_divisor_of_the_row(row: int, size: int, expected: int) -> None:
    assert nearest_divisor(row, size) == expected


@pytest.mark.parametrize(("size", "sparsity", "kept"), [(16, 0.75, 4), (16, 0.99, 1), (9, 0.75, 2), (9, 0.01, 9)])
def test_densities_are_rounded_to_whole_weights_of_at_least_one(size: int, sparsity: float, kept: int) -> None:
    assert kept_of(size, sparsity) == kept


def test_ties_are_pruned_to_the_exact_number() -> None:
    assert (Blocks(4, 1, 0).ranks(torch.ones(2, 8)) < 1).sum() == 4


# The backbone


def test_the_plugin_registers_backbone_and_reducer() -> None:
    assert check_plugin("lowvision_sparsity") == {"backbones": ["sparse"], "reducers": ["sparsity"]}


def test_a_sparse_backbone_passes_its_check() -> None:
    inner = FSRCNN(channels=12, shrink=4, layers=1)
    check_backbone(Sparse(of=inner, sparsity=0.5, ends=True), tasks=[TASK])
    check_backbone(HALF, tasks=[TASK], exportable=False)  # export is tested above


def test_the_initial_network_has_the_stated_sparsity() -> None:
    assert_balanced(seeded(Sparse(of=SMALL, sparsity=0.75, block=8)))


def test_the_first_and_last_layer_stay_dense_by_default() -> None:
    network = seeded(HALF)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(non_zeros(network)) == len(convolutions) - 2
    assert len(non_zeros(seeded(HALF.replace(ends=True)))) == len(convolutions)


def test_weights_are_pruned_gradually_to_the_exact_number_of_each_step() -> None:
    backbone = Sparse(of=SMALL, sparsity=0.75, block=8, settle=0.5)
    network, let_through = seeded(backbone), list[list[set[int]]]()
    objective, optimizer = backbone.objective(network, l1_loss), torch.optim.Adam(network.parameters(), lr=1e-3)
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


def test_the_pruning_schedule_is_cubic_and_ends() -> None:
    assert [ramp(p) for p in (0, 0.5, 1, 1.5)] == [0, 0.875, 1, 1]


def test_pruning_resumes_and_pruned_weights_stay_zero() -> None:
    network = seeded(HALF)
    objective, lq_gt = HALF.objective(network, l1_loss), batch()
    objective(*lq_gt, 0.9)
    masks = [balanced.mask.clone() for _, balanced in sparse_weights(network)]
    with torch.no_grad():
        for weight, _ in sparse_weights(network):
            weight.copy_(weight.flip(0))  # others are the largest now
    let_through = []
    network.register_forward_pre_hook(lambda module, _: let_through.append([b.mask for _, b in sparse_weights(module)]))
    objective(*lq_gt, 0.0)  # a second stage begins
    assert all(map(torch.equal, let_through[0], masks))


class Pruned(Backbone):
    """A backbone with its own objective."""

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3)))

    def reach(self, task: Task) -> int:
        return 3

    def objective(self, network: nn.Module, image_loss: ImageLoss) -> nn.Module:
        class Own(nn.Module):
            def forward(self, lq: Tensor, gt: Tensor, progress: float) -> dict[str, Tensor]:
                (layer,) = sparse_weights(network)
                return {"open": layer[1].mask.float().mean(), "progress": torch.tensor(progress)}

        return Own()


def test_the_objective_of_the_inner_backbone_is_used_during_pruning() -> None:
    backbone = Sparse(of=Pruned(), sparsity=2 / 3, block=9)
    network = seeded(backbone)
    lq, _ = batch()
    losses = [backbone.objective(network, l1_loss)(lq, lq, progress) for progress in (0.0, 0.75)]
    assert [loss["open"].item() for loss in losses] == pytest.approx([1, 1 / 3])
    assert [loss["progress"].item() for loss in losses] == [0, 0.75]


def test_a_network_without_inner_layers_is_refused_with_a_remedy() -> None:
    class Single(Pruned):
        """One layer."""

        def build(self, task: Task) -> nn.Module:
            return nn.Conv2d(3, 3, 1)

    with pytest.raises(ValueError, match=r"Single has no layer to prune .* set ends: true"):
        Sparse(of=Single()).build(TASK)
    assert_balanced(Sparse(of=Single(), sparsity=0.5, ends=True).build(TASK))


def test_constant_tensors_are_not_pruned() -> None:
    network = nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(4)))
    network[1].requires_grad_(False)
    assert make_sparse(network, 0.5, 4, ends=False) == 1
    assert [isinstance(layer.weight, nn.Parameter) for layer in network] == [True, True, False, True]


def test_recipes_and_weights_files_contain_the_inner_backbone(tmp_path: Path) -> None:
    known = registry.load()
    architecture = tiny.architecture().only(-1)
    architecture = architecture.replace(branches=(Sparse(of=architecture.branches[0], sparsity=0.5),))
    path = tiny.write_weights(tmp_path / "sparse.safetensors", architecture)
    header = weights.read_header(path, known)
    assert header.architecture == architecture
    assert_balanced(weights.load_network(path, architecture, known))
    with pytest.raises(WeightsError, match=r"holds a backbone, sparse\(of=fsrcnn\(channels=12, .*sparsity=0.5"):
        weights.load_network(path, architecture.replace(branches=(SMALL,)), known)


# A run

SPARSE = "backbone={sparse: {of: {fsrcnn: {channels: 12, shrink: 4, layers: 1}}, sparsity: 0.5, block: 8}}"
LEVELS = "reduce={channels: [4, 8, 12], sparsity: [0.75, 0.5, 0.5]}"
BASE = "base: {steps: 6, batch: 4, ema: 0.9, checkpoint_every: 2, valid_every: 3}, evaluate: null"
REST = "rank: {limit: 30}, branches: {steps: 2, batch: 4}, joint: {steps: 2, batch: 6, ema: 0.9}"
KEPT = ("base/best", "base/last", "branches/0/last", "branches/2/last", "joint/last")


def die_while_pruning(recipe: Path, folder: Path) -> None:
    """Train the base, and kill the process in the fifth update, after two checkpoints."""
    from lowvision.training import loop

    update, calls = loop.update, []

    def deadly(*arguments: Any) -> Any:
        calls.append(1)
        return tiny.die() if len(calls) == 5 else update(*arguments)

    loop.update = deadly
    tiny.run(recipe, folder, SPARSE, LEVELS, f"stages={{{BASE}}}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run with sparse branches; next to it lies a run that was killed and resumed."""
    base_folder = tmp_path_factory.mktemp("sparse")
    recipe = tiny.write_recipe(base_folder)
    assert tiny.in_a_child(tiny.run, recipe, base_folder / "whole", SPARSE, LEVELS, f"stages={{{BASE}, {REST}}}") == 0
    assert tiny.in_a_child(die_while_pruning, recipe, base_folder / "killed") == -9
    assert tiny.in_a_child(tiny.run, recipe, base_folder / "killed", SPARSE, LEVELS, f"stages={{{BASE}}}") == 0
    return base_folder


@pytest.mark.parametrize("name", KEPT)
def test_masks_survive_saving_averaging_and_containers(folder: Path, name: str) -> None:
    known = registry.load()
    path = folder / "whole" / f"{name}.safetensors"
    architecture = weights.read_header(path, known).architecture
    network = (
        weights.load_container(path, architecture, known)
        if architecture.classifier
        else weights.load_network(path, architecture, known)
    )
    assert_balanced(network)
    state = load_file(path)
    masks = {key: tensor for key, tensor in state.items() if key.endswith(".0.mask")}
    assert masks
    assert all(torch.equal(network.state_dict()[key], mask) for key, mask in masks.items())


@pytest.mark.parametrize("name", ["base/best", "base/last"])
def test_a_run_killed_during_pruning_resumes_bit_for_bit(folder: Path, name: str) -> None:
    whole, killed = (load_file(folder / run / f"{name}.safetensors") for run in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert [key for key, tensor in whole.items() if not torch.equal(tensor, killed[key])] == []


# The reducer


@pytest.mark.parametrize("level", [-0.1, 1, 1.5, "half", True])
def test_invalid_levels_are_refused(level: float | str) -> None:
    with pytest.raises(ValueError, match="the level must be the fraction of zero weights"):
        Sparsity().reduce(SMALL, level)


def test_a_level_of_lower_sparsity_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"this sparse CARN has 0.5 zeros already; a reducer only makes a backbone smaller"
    ):
        Sparsity().reduce(HALF, 0)
    assert Sparsity().reduce(HALF, 0.75) == HALF.replace(sparsity=0.75)
    assert Sparsity().reduce(SMALL, 0) == SMALL


def test_the_reducer_passes_its_check_with_lower_theoretical_and_equal_exact_cost() -> None:
    check_reducer(Sparsity(), SMALL, [0.75, 0.5, 0], task=TASK)


def test_a_sparse_branch_inherits_dense_weights_and_derives_masks_from_them() -> None:
    base, task = SMALL, TASK
    larger, smaller = seeded(base, task), seeded(Sparsity().reduce(base, 0.5), task, seed=1)
    assert Sparsity().inherit(larger, smaller)
    assert_balanced(smaller)
    theirs = dict(larger.named_modules())
    for name, module in smaller.named_modules():
        if isinstance(module, nn.Conv2d):
            dense = theirs[name].weight
            stays = module.weight != 0
            assert torch.equal(module.weight[stays], dense[stays])  # type: ignore[index]  # a convolution's
    other = seeded(CARN(channels=4, layers=1, groups=2), task)
    assert not Sparsity().inherit(other, smaller)


def test_a_sparse_backbone_can_be_narrowed_and_inherited_from() -> None:
    narrow = Channels().reduce(HALF, 4)
    assert narrow == HALF.replace(of=SMALL.replace(channels=4))
    larger, middle, smaller = seeded(HALF), seeded(narrow, seed=1), seeded(narrow, seed=2)
    assert Channels().inherit(larger, middle)
    assert Sparsity().inherit(middle, smaller)
    assert_balanced(smaller)
    theirs = torch.cat([weight.flatten() for weight, _ in sparse_weights(larger)])
    assert all(is_scaled_part(weight, theirs) for weight, _ in sparse_weights(smaller))


# Cost


def test_the_exact_cost_is_dense_and_the_theoretical_one_counts_non_zero_weights() -> None:
    shape, backbone = (1, 3, 16, 16), Sparse(of=SMALL, sparsity=0.5, ends=True)
    dense, sparse = seeded(SMALL), seeded(backbone)
    exact, skipped = multiply_adds(dense, shape), 0
    for name, module in sparse.named_modules():
        if isinstance(module, nn.Conv2d):
            size = 32 if name == "exit" else 16
            times = 3 if "residual" in name else 1  # one block, run three times
            skipped += times * size**2 * int((module.weight == 0).sum())
    assert multiply_adds(sparse, shape) == exact
    assert theoretical_multiply_adds(sparse, shape) == exact - skipped
    assert theoretical_multiply_adds(dense, shape) == exact


def readme_rows() -> list[list[str]]:
    """Return the rows of the README's table of costs."""
    table = README.read_text().split("| network | exact |")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.parametrize("row", readme_rows(), ids=lambda row: row[0])
def test_the_readme_figures_equal_the_counted_ones(row: list[str]) -> None:
    name, exact, half, quarter = row
    dense = {"CARN, 64 channels": CARN(), "SRResNet": SRResNet(), "FSRCNN, with `ends: true`": FSRCNN()}[name]
    task, shape, ends = PlainTask(scale=4), (1, 3, 32, 32), "ends" in name
    sparse = [seeded(Sparse(of=dense, sparsity=share, ends=ends), task) for share in (0.5, 0.75)]
    counted = [multiply_adds(sparse[0], shape), *(theoretical_multiply_adds(network, shape) for network in sparse)]
    assert [exact, half, quarter] == [f"{count / 1e6:,.1f} M" for count in counted]
