"""Claims about lowvision-exits: the cost of a tile, its exit, and the output of the whole network."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import tiny
import torch
import toys
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.utils.flop_counter import FlopCounterMode

from lowvision import Backbone, EarlyExit, multiply_adds, resize
from lowvision.errors import RecipeError
from lowvision.imaging import io
from lowvision.imaging.metrics import psnr
from lowvision.inference.restorer import load
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.system import accelerators
from lowvision.testing import PlainTask, check_backbone, check_plugin, measured_reach
from lowvision_denoise import DnCNN
from lowvision_exits import Exits
from lowvision_exits.costs import Costs
from lowvision_exits.network import Network, Regressor, Standard, capacity
from lowvision_exits.threshold import ALWAYS, NEVER, solve_threshold
from lowvision_exits.training import AnyExit
from lowvision_reducers import Layers
from lowvision_sr import CARN, FSRCNN, RCAN, SRResNet

KNOWN = registry.load()
SIZE = 12
STEPS = 200
TASK = PlainTask(scale=2)
SMALL = Exits(of=SRResNet(channels=8, layers=5, skip="bicubic"), every=1, hidden=8)
LEAVABLE: tuple[Backbone, ...] = (
    SRResNet(channels=8, layers=4),
    CARN(channels=8, layers=4),
    RCAN(channels=8, layers=4, blocks=1, reduction=2),
    DnCNN(channels=8, layers=6),
    DnCNN(channels=8, layers=6, batch_norm=True),
)


def task_of(backbone: Backbone) -> PlainTask:
    return PlainTask(scale=max(s for s in (1, 2) if backbone.scales is None or s in backbone.scales))


def build_network(backbone: Backbone, task: PlainTask) -> Any:
    """Build a network in eval mode, with random weights in its last layer."""
    torch.manual_seed(0)
    network = backbone.build(task).eval()
    for parameter in network.parameters():
        if parameter.dim() > 1 and parameter.std() < 0.01:
            nn.init.kaiming_normal_(parameter)
    return network


@cache
def photographed(sets: str, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return tiles of sample photographs: lq (count,3,SIZE,SIZE), gt twice as large."""
    generator, side = torch.Generator().manual_seed(seed), 2 * SIZE
    photos = [io.to_tensor(io.read_rgb(p.gt)) for p in KNOWN.find("datasets", sets).component().photos()]
    tiles = []
    for n in range(count):
        photo = photos[n % len(photos)]
        top, left = (int(torch.randint(s - side, (), generator=generator)) for s in photo.shape[1:])
        tiles.append(photo[:, top : top + side, left : left + side])
    gt = torch.stack(tiles)
    return resize(gt, (SIZE, SIZE)).clamp(0, 1), gt


@cache
def trained() -> Network:
    """Train a small network for a few hundred steps of its objective, with a learning rate that falls to zero."""
    torch.manual_seed(0)
    network = SMALL.build(TASK)
    objective = SMALL.objective(network, l1_loss).train()
    optimiser = torch.optim.Adam(objective.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    lq, gt = photographed("samples_train", 256, 1)
    for step in range(STEPS):
        some = torch.randint(len(lq), (8,), generator=torch.Generator().manual_seed(step))
        loss = sum(objective(lq[some], gt[some], step / (STEPS - 1)).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return cast(Network, network.eval())


def share_spent(network: Network, tiles: Tensor) -> float:
    return network.adapt(tiles)[1].double().mean().item() / multiply_adds(network, (1, *tiles.shape[1:]))


# Structure


def test_the_plugin_registers_the_backbone() -> None:
    assert check_plugin("lowvision_exits") == {"backbones": ["exits"]}


@pytest.mark.parametrize("backbone", [LEAVABLE[0], LEAVABLE[3]], ids=lambda backbone: type(backbone).__name__)
def test_the_backbone_passes_its_check(backbone: Backbone) -> None:
    # It adds nothing to the graph that is exported.
    check_backbone(Exits(of=backbone, every=2, hidden=4), tasks=[task_of(backbone)], exportable=False)


@pytest.mark.parametrize("backbone", LEAVABLE, ids=repr)
def test_an_exit_equals_the_network_of_fewer_layers_with_the_same_weights(backbone: Backbone) -> None:
    task, blocks = task_of(backbone), backbone.exits()
    network, image = build_network(Exits(of=backbone), task), torch.rand(2, 3, 9, 7)
    for number, state in enumerate(network.states(image)):
        layers = backbone.layers - blocks + number + 1  # type: ignore[attr-defined]  # all of these have layers
        fewer = Layers().reduce(backbone, layers).build(task).eval()
        if layers == backbone.layers:  # type: ignore[attr-defined]
            fewer.load_state_dict(network.network.state_dict())
        elif isinstance(backbone, DnCNN):  # its last convolution stands in one list with the others
            _, *names = sorted({key.split(".")[1] for key in fewer.state_dict()}, key=int)
            end, moved = names[-1], len(network.network.noise) - len(fewer.noise)
            theirs = network.network.state_dict()
            source = {key: key.replace(f".{end}.", f".{int(end) + moved}.") for key in fewer.state_dict()}
            fewer.load_state_dict({key: theirs[name] for key, name in source.items()})
        else:
            assert Layers().inherit(network.network, fewer)
        with torch.no_grad():
            torch.testing.assert_close(network.inner.forward_head(state, image), fewer(image), atol=1e-5, rtol=1e-5)


def test_reach_scales_and_multiples_equal_those_of_the_inner_network() -> None:
    assert measured_reach(SMALL, TASK, 16) == SMALL.reach(TASK) == SMALL.of.reach(TASK)
    assert SMALL.scales == SRResNet.scales
    assert SMALL.multiple_of == 1
    assert Exits(of=RCAN(layers=2)).reach(TASK) is None


@pytest.mark.parametrize(("every", "places"), [(1, (1, 2, 3, 4, 5)), (2, (2, 4, 5)), (3, (3, 5)), (4, (4, 5))])
def test_the_last_exit_equals_the_whole_network(every: int, places: tuple[int, ...]) -> None:
    assert SMALL.replace(every=every).places == places


# How it is written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "fsrcnn"}, "FSRCNN supports no early exits; set `of` to a backbone that runs block after block"),
        (
            {"of": {"srresnet": {"layers": 4}}, "every": 4},
            "every 4 gives SRResNet, of 4 blocks, no early exit",
        ),
        ({"of": {"dncnn": {"layers": 2}}}, "DnCNN supports no early exits"),
        ({"of": {"sparse": {"of": "srresnet"}}}, "Sparse has its own objective, which exits would replace"),
        ({}, "of: is missing"),
        ({"of": {"srresnet": {"layer": 4}}}, "of.srresnet.layer: unknown key (did you mean 'layers'?)"),
        ({"of": "srresne"}, "of: no backbone named 'srresne'; did you mean 'srresnet'? (from lowvision-sr)"),
    ],
)
def test_an_error_is_reported_with_its_path(tmp_path: Path, options: Any, message: str) -> None:
    path = tmp_path / "r.yml"
    path.write_text(
        f"task: {{sr: {{scale: 2}}}}\nbackbone: {json.dumps({'exits': options})}\nclassifier: class_module\n"
    )
    with pytest.raises(RecipeError) as caught:
        reading.read(path, KNOWN)
    assert str(caught.value).startswith(f"{path}:2: backbone.exits")
    assert message in str(caught.value)


PARENT = "task: {sr: {scale: 2}}\nbackbone: {exits: {of: {srresnet: {layers: 8, channels: 16}}, every: 3}}\n"


@pytest.mark.parametrize(
    ("text", "overrides", "expected"),
    [
        ("{of: {srresnet: {layers: 6}}}", (), SRResNet(layers=6, channels=16)),
        ("{of: {carn: {layers: 6}}}", (), CARN(layers=6)),
        ("{of: rcan}", (), RCAN()),
        ("{every: 3}", ("backbone.exits.of.srresnet.layers=5",), SRResNet(layers=5, channels=16)),
        ("{every: 3}", ("backbone.exits.of.carn.layers=5",), CARN(layers=5)),
        ("{every: 3}", ("backbone.exits.of=rcan",), RCAN()),
    ],
)
def test_another_inner_network_inherits_no_options_from_the_replaced_one(
    tmp_path: Path, text: str, overrides: tuple[str, ...], expected: Backbone
) -> None:
    (tmp_path / "parent.yml").write_text(PARENT)
    (tmp_path / "r.yml").write_text(f"extends: parent.yml\nclassifier: class_module\nbackbone: {{exits: {text}}}\n")
    assert reading.read(tmp_path / "r.yml", KNOWN, overrides).base == Exits(of=expected, every=3)


def test_a_weights_file_contains_the_inner_network_and_the_threshold(tmp_path: Path) -> None:
    architecture = Architecture(task=KNOWN.find("tasks", "sr").component(scale=2), branches=(SMALL,))
    network, path = build_network(SMALL, TASK), tmp_path / "exits.safetensors"
    network.threshold.fill_(0.25)
    weights.save(path, network, architecture, KNOWN, {})
    header = weights.read_header(path, KNOWN)
    assert header.architecture == architecture
    again, lq = weights.load_network(path, architecture, KNOWN), torch.rand(5, 3, SIZE, SIZE)
    for mine, theirs in zip(again.eval().adapt(lq), network.adapt(lq), strict=True):  # type: ignore[operator]
        assert torch.equal(mine, theirs)


# Outputs


@pytest.mark.parametrize("backbone", LEAVABLE, ids=repr)
def test_without_budget_and_at_budget_1_the_whole_network_runs(backbone: Backbone) -> None:
    network, tiles = build_network(Exits(of=backbone, every=2), task_of(backbone)), torch.rand(6, 3, SIZE, SIZE)
    whole = multiply_adds(network.network, (1, 3, SIZE, SIZE))
    with torch.no_grad():
        expected = network.network(tiles)
    network.set_budget(0.7, tiles, expected)
    assert network.adapt(tiles)[1].max() != whole or network.adapt(tiles)[1].min() != whole
    for share in (1.0, 1.5):
        network.set_budget(share, tiles, expected)
        restored, spent = network.adapt(tiles)
        assert torch.equal(restored, expected)
        assert spent.tolist() == [whole] * 6


@pytest.mark.parametrize("backbone", LEAVABLE, ids=repr)
def test_the_reported_cost_equals_the_computed_multiply_adds(backbone: Backbone) -> None:
    network, tiles = build_network(Exits(of=backbone), task_of(backbone)), torch.rand(24, 3, SIZE, SIZE)
    for share in (0.0, 0.6, 0.8, 0.95):
        network.set_budget(share, tiles, tiles)
        network.adapt(tiles)  # costs are counted once, and not while we count
        with FlopCounterMode(display=False) as counter:
            _, spent = network.adapt(tiles)
        assert counter.get_total_flops() == 2 * spent.sum().item()


def test_tiles_that_exited_are_in_no_later_batch() -> None:
    network, tiles, rows = build_network(SMALL, TASK), photographed("samples_valid", 64)[0], list[int]()
    for block in network.network.trunk[1:]:
        block.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    network.set_budget(0.75, tiles, tiles)
    _, first = network.adapt(tiles)
    rows.clear()
    _, spent = network.adapt(tiles)
    at = [int((spent == cost_of_exit).sum()) for cost_of_exit in network._costs(tiles).exits]
    assert rows == [sum(at[number:]) for number in range(len(rows))]
    assert rows[0] == 64 > rows[-1] > 0
    assert torch.equal(first, spent)


def test_a_tile_equals_the_output_of_its_exit() -> None:
    network, (tiles, _) = build_network(SMALL, TASK), photographed("samples_valid", 32)
    network.set_budget(0.75, tiles, tiles)
    restored, spent = network.adapt(tiles)
    with torch.no_grad():
        everywhere = [network.inner.forward_head(state, tiles) for state in network.states(tiles)]
    exits = network._costs(tiles).exits
    expected = torch.stack([everywhere[exits.index(int(cost_of_exit))][n] for n, cost_of_exit in enumerate(spent)])
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=1e-5)


# Cost and budget


@pytest.mark.parametrize("share", [0.6, 0.7, 0.85, 0.95])
def test_the_budget_is_met_within_2_percent_on_validation_tiles(share: float) -> None:
    network, (lq, gt) = trained(), photographed("samples_valid", 200)
    least = network._costs(lq).exits[0] / network._costs(lq).whole
    network.set_budget(share, lq, gt)
    assert least < 0.6
    assert share - 0.02 <= share_spent(network, lq) <= share


def test_a_budget_below_the_first_exit_selects_the_first_exit() -> None:
    network, (lq, gt) = trained(), photographed("samples_valid", 200)
    network.set_budget(0.1, lq, gt)
    assert network.adapt(lq)[1].unique().tolist() == [network._costs(lq).exits[0]]


def test_with_a_larger_budget_no_tile_exits_earlier_and_psnr_rises() -> None:
    network, (lq, gt) = trained(), photographed("samples_valid", 200)
    before, quality = torch.zeros(200), list[float]()
    for share in (0.1, 0.6, 0.7, 0.8, 0.9, 1.0):
        network.set_budget(share, lq, gt)
        restored, spent = network.adapt(lq)
        assert share == 1 or (spent >= before).all()
        before = spent
        quality.append(psnr(restored, gt).mean().item())
    assert all(after > earlier - 0.01 for earlier, after in pairwise(quality)), quality
    assert quality[-1] > quality[0] + 0.05


@given(
    capacities=st.lists(st.lists(st.floats(0, 2, width=32), min_size=2, max_size=2), min_size=1, max_size=30),
    share=st.floats(0, 1.2),
)
def test_the_threshold_is_the_largest_within_the_budget(capacities: list[list[float]], share: float) -> None:
    costs = Costs(100, (40, 75, 110))
    solved = solve_threshold(share, torch.tensor(capacities), costs)

    def spent(threshold: float) -> float:
        exits = [next((n for n, c in enumerate(row) if c > threshold), 2) for row in capacities]
        return sum(costs.exits[e] for e in exits) / len(exits)

    if share >= 1:
        assert solved == NEVER
        return
    assert solved == ALWAYS or spent(solved) <= share * 100
    larger = [c for row in capacities for c in row if c > solved]
    if larger and spent(min(larger)) > spent(solved) and min(larger) < max(c for row in capacities for c in row):
        assert spent(min(larger)) > share * 100


# How it learns


def test_the_regressor_does_not_change_the_gradients_of_the_network() -> None:
    network = SMALL.build(TASK)
    losses = SMALL.objective(network, l1_loss)(*photographed("samples_train", 4), 0.5)
    assert losses.keys() == {"image", "capacity"}
    losses["capacity"].backward()
    assert all(parameter.grad is None for parameter in network.network.parameters())  # type: ignore[union-attr]
    assert all(parameter.grad is not None for parameter in network.regressor.parameters())  # type: ignore[union-attr]


def test_every_exit_has_equal_weight_in_the_image_loss() -> None:
    network, (lq, gt) = build_network(SMALL, TASK), photographed("samples_train", 4)
    errors = [(network.inner.forward_head(state, lq) - gt).abs().mean() for state in network.states(lq)]
    torch.testing.assert_close(AnyExit(network, l1_loss)(lq, gt, 0.0)["image"], torch.stack(errors).mean())


def test_the_capacity_equals_the_formula_of_the_paper() -> None:
    gains = torch.tensor([-0.3, 0.0, 0.1, 2.0])
    torch.testing.assert_close(capacity(gains), 1 - torch.tanh(gains))
    assert ALWAYS < capacity(torch.tensor(100.0)) <= capacity(torch.tensor(-100.0)) <= NEVER


def test_the_recipe_trains_and_evaluates_at_budgets(tmp_path: Path) -> None:
    tiny.write_photographs(tmp_path / "photos")
    photos = tmp_path / "photos"
    recipe = Path(__file__).parents[2] / "recipes" / "sr_exits.yml"
    overrides = (
        f"data={{train: {photos}/train, valid: {photos}/valid, test: {photos}/valid, valid_tiles: 8, workers: 0}}",
        "backbone.exits={of: {srresnet: {channels: 4, layers: 3}}, every: 1}",
        "tile.size=16",
        "stages.base={steps: 2, batch: 2}",
        "stages.calibrate.points=3",
        "stages.evaluate.budgets=[0.75]",
    )
    assert tiny.in_a_child(tiny.run, recipe, tmp_path / "run", *overrides) == 0
    document = json.loads((tmp_path / "run" / "report.json").read_text())
    means = document["sets"][0]["mean"]
    assert means["adaptive"]["share_of_base_tiled"] == pytest.approx(1)
    assert means["adaptive@0.75"]["share_of_base_tiled"] < 0.9
    kept = load(tmp_path / "run" / "calibrate" / "network.safetensors", device="cpu", runtime="torch")
    image = io.read_rgb(next((photos / "valid").iterdir()))
    assert len({setting.share for setting in kept.settings}) == len(kept.settings)
    assert kept.restore(image, budget=0.1).cost <= kept.restore(image).cost


def test_only_networks_with_early_exits_have_a_number_of_exits() -> None:
    assert all(isinstance(backbone.build(task_of(backbone)), EarlyExit) for backbone in LEAVABLE)
    assert toys.Net().exits() == FSRCNN().exits() == 0


def standardise_halves() -> None:
    """Standardise half of each batch in one of two processes; both must hold the statistics of the whole batches."""
    accelerator = accelerators.build("cpu")
    shared, whole = Standard(3).train(), Standard(3).train()
    for batch in torch.rand(20, 8, 3, generator=torch.Generator().manual_seed(0)):
        shared(batch.chunk(2)[accelerator.process_index])
    torch.distributed.destroy_process_group()
    for batch in torch.rand(20, 8, 3, generator=torch.Generator().manual_seed(0)):
        whole(batch)
    for name, buffer in whole.named_buffers():
        torch.testing.assert_close(shared.get_buffer(name), buffer)


def test_two_processes_share_the_running_statistics_of_the_regressor() -> None:
    assert tiny.in_two_processes(standardise_halves) == [0, 0]


def test_regressor_inputs_are_standardised_by_running_statistics() -> None:
    standard = Standard(3).train()
    numbers = torch.tensor([5.0, -1.0, 0.0]) + torch.tensor([0.1, 3.0, 1.0]) * torch.randn(500, 3)
    for some in numbers.repeat(20, 1).split(8):
        standard(some)
    kept = {name: buffer.clone() for name, buffer in standard.named_buffers()}
    standardised = standard.eval()(numbers)
    assert standardised.mean(dim=0).abs().max() < 0.5
    assert ((standardised.std(dim=0) - 1).abs() < 0.5).all()
    assert all(torch.equal(buffer, kept[name]) for name, buffer in standard.named_buffers())


def test_the_regressor_learns_more_than_a_constant_for_each_exit() -> None:
    network, (lq, gt) = trained(), photographed("samples_valid", 64)
    regressor = Regressor(8, len(network.places), 16).train()
    with torch.no_grad():
        states = [state[0] for state in network.states(lq)][:-1]
        quality = torch.stack([psnr(network.inner.forward_head(state, lq), gt) for state in network.states(lq)])
    expected = capacity(quality[-1] - quality[:-1])  # (exits - 1, 64)
    optimiser = torch.optim.Adam(regressor.parameters(), 1e-2)
    for _ in range(150):
        predicted = torch.stack([capacity(regressor(features, number)) for number, features in enumerate(states)])
        loss = (predicted - expected).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.7 * expected.var(dim=1).mean()


def test_a_batch_synchronises_once_per_exit_for_any_size() -> None:
    network = build_network(SMALL, TASK).eval()
    network.threshold.fill_((ALWAYS + NEVER) / 2)

    def waits(count: int) -> int:
        tiles = torch.rand(count, 3, SIZE, SIZE)
        network.adapt(tiles)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            network.adapt(tiles)
        return sum(event.name in ("aten::_local_scalar_dense", "aten::nonzero") for event in profiler.events())

    assert waits(2) <= len(network.places) - 1
    assert waits(9) <= len(network.places) - 1


def test_a_changed_threshold_is_read_again() -> None:
    network, tiles = build_network(SMALL, TASK).eval(), torch.rand(2, 3, SIZE, SIZE)
    whole = network.adapt(tiles)[1]
    network.threshold.fill_(ALWAYS)
    assert (network.adapt(tiles)[1] < whole).all()
    network.threshold.fill_(NEVER)
    assert torch.equal(network.adapt(tiles)[1], whole)
