"""Claims about lowvision-pixel; the constants follow from its paper and its authors' code."""

from __future__ import annotations

from pathlib import Path

import learning
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from lowvision import Task, upsample
from lowvision.routing import networks
from lowvision.routing.adapting import adapt
from lowvision.routing.container import RoutedContainer
from lowvision.routing.cost import multiply_adds, parameters
from lowvision.routing.engine import Engine
from lowvision.routing.regions import Geometry
from lowvision.testing import PlainTask, check_backbone, check_plugin, measured_reach
from lowvision_pixel import Pixel
from lowvision_pixel.network import Network
from lowvision_pixel.perceptron import Perceptron

README = Path(__file__).parents[2] / "plugins" / "lowvision-pixel" / "README.md"
SMALL = Pixel(channels=4, shrink=3, layers=2, heavy=(6, 5), light=(3,), heavy_until=0.4)
TASK = PlainTask(scale=2)


def built(backbone: Pixel = SMALL, task: Task = TASK) -> Network:
    """Build a network with random weights in its last layers and an untrained classifier."""
    torch.manual_seed(0)
    network = backbone.build(task).eval()
    assert isinstance(network, Network)
    for part in (network.heavy, network.light, network.classifier):
        nn.init.normal_(part.last.weight, std=0.3)
    return network


def network_in_use(backbone: Pixel = SMALL, task: Task = TASK) -> Network:
    """Build a network whose classifier is in use and selects some pixels as heavy and some as light."""
    network = built(backbone, task)
    network.unasked.fill_(False)
    images = torch.rand(4, task.channels, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits = network.logits(network.features(images))
        network.classifier.last.bias[1] -= (logits[..., 1] - logits[..., 0]).median()
    return network


def shares(network: Network, lq: Tensor) -> Tensor:
    """Return the share of heavy pixels of each tile, computed from the cost that adapt reports."""
    costs = network.costs(lq.shape[1:])
    extra = network.adapt(lq)[1] - costs.fixed - costs.light * costs.pixels
    return extra / ((costs.heavy - costs.light) * costs.pixels)


def test_the_plugin_registers_the_backbone() -> None:
    assert check_plugin("lowvision_pixel") == {"backbones": ["pixel"], "formats": ["pcsr_file"]}


def test_the_backbone_passes_its_check() -> None:
    check_backbone(SMALL)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_reach_equals_the_receptive_field_radius(scale: int) -> None:
    assert measured_reach(SMALL, PlainTask(scale=scale), 12) == SMALL.reach(PlainTask(scale=scale))


@pytest.mark.parametrize(
    "options", [{"heavy": ()}, {"light": (0,)}, {"heavy_until": 0.0}, {"heavy_until": 1.0}], ids=str
)
def test_invalid_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(options))):
        Pixel(**options)  # type: ignore[arg-type]  # wrong on purpose


# Perceptrons


@settings(deadline=None, max_examples=10)
@given(scale=st.integers(1, 4), hidden=st.lists(st.integers(1, 6), max_size=3))
def test_the_split_perceptron_equals_one_on_concatenated_features_and_position(scale: int, hidden: list[int]) -> None:
    torch.manual_seed(0)
    part = Perceptron(5, hidden, 3, scale)
    features = torch.rand(7, 5)
    first = nn.Linear(7, part.features.out_features)
    with torch.no_grad():
        first.weight.copy_(torch.cat([part.features.weight, part.place.weight], dim=1))
        first.bias.copy_(part.features.bias)
        both = torch.cat([features[:, None].expand(-1, scale**2, -1), part.places.expand(7, -1, -1)], dim=2)
        expected = part.rest(first(both))
        torch.testing.assert_close(part.at_all(part.enter(features)), expected)
        pixels, places = torch.tensor([6, 0, 3]), torch.tensor([scale**2 - 1, 0, scale // 2])
        torch.testing.assert_close(part.at(part.enter(features), pixels, places), expected[pixels, places])


def test_positions_are_the_subpixel_centres_row_by_row() -> None:
    places = Perceptron(1, [], 1, 2).places
    assert places.tolist() == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]


def test_pixels_are_placed_at_their_positions() -> None:
    network = built(SMALL.replace(skip="none"), PlainTask(scale=3))
    pixels = torch.arange(2 * 9 * 3.0).view(1, 1, 2, 9, 3)  # (B, h, w, scale^2, colours)
    image = network.image(pixels, torch.zeros(1, 3, 1, 2))
    assert image.shape == (1, 3, 3, 6)
    assert image[0, 0].tolist() == [[0, 3, 6, 27, 30, 33], [9, 12, 15, 36, 39, 42], [18, 21, 24, 45, 48, 51]]


# Heavy and light


def test_all_pixels_heavy_equals_the_heavy_network() -> None:
    network, lq = built(), torch.rand(3, 3, 9, 7)
    with torch.no_grad():
        heavy, light = (network.all_by(part, lq) for part in (network.heavy, network.light))
        assert (heavy - light).abs().max() > 0.1
        torch.testing.assert_close(network(lq), heavy)  # the classifier has not learned
        restored, spent = network.adapt(lq)
        torch.testing.assert_close(restored, heavy)
        network = network_in_use()
        network.set_budget(2.0, lq, lq)  # more than there is
        torch.testing.assert_close(network.adapt(lq)[0], heavy)
    assert (spent == network.adapt(lq)[1]).all()
    assert (shares(network, lq) == 1).all()


def test_all_pixels_light_equals_the_light_network() -> None:
    network, lq = network_in_use(), torch.rand(3, 3, 9, 7)
    network.set_budget(0.0, lq, lq)
    with torch.no_grad():
        torch.testing.assert_close(network.adapt(lq)[0], network.all_by(network.light, lq))
    assert (shares(network, lq) == 0).all()


@settings(deadline=None, max_examples=10)
@given(scale=st.integers(2, 4), height=st.integers(1, 9), width=st.integers(1, 9))
def test_adapt_equals_forward(scale: int, height: int, width: int) -> None:
    network, lq = network_in_use(task=PlainTask(scale=scale)), torch.rand(2, 3, height, width)
    restored, spent = network.adapt(lq)
    with torch.no_grad():
        torch.testing.assert_close(restored, network(lq), atol=1e-5, rtol=0)
    assert (spent < multiply_adds(network, (1, 3, height, width))).all()


def test_the_cost_counts_the_computed_pixels() -> None:
    network, lq = network_in_use(), torch.rand(2, 3, 16, 16)
    rows = dict[str, int]()
    for name in ("light", "heavy"):
        getattr(network, name).rest.register_forward_pre_hook(
            lambda _, inputs, name=name: rows.update({name: len(inputs[0])})
        )
    costs = network.costs(lq.shape[1:])
    _, spent = network.adapt(lq)
    assert spent.dtype == torch.int64
    assert rows["light"] + rows["heavy"] == 2 * 32 * 32
    assert 0.3 < rows["heavy"] / (2 * 32 * 32) < 0.7
    assert spent.sum() == 2 * costs.fixed + rows["light"] * costs.light + rows["heavy"] * costs.heavy
    assert (costs.light, costs.heavy) == (3 * 3, 6 * 5 + 5 * 3)
    assert costs.forward == multiply_adds(network, (1, *lq.shape[1:]))


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.8, 0.85])
def test_a_budget_is_spent_up_to_one_pixel(share: float) -> None:
    network, lq = network_in_use(task=PlainTask(scale=4)), torch.rand(4, 3, 12, 12)
    network.set_budget(share, lq, lq)
    spent = network.adapt(lq)[1].sum().item() / (4 * network.costs(lq.shape[1:]).forward)
    assert share - 0.001 < spent <= share + 1e-4


def test_a_smaller_budget_only_switches_pixels_from_heavy_to_light() -> None:
    network, lq = network_in_use(task=PlainTask(scale=4)), torch.rand(4, 3, 12, 12)
    before = torch.zeros(4)
    for share in (0.6, 0.7, 0.8):
        network.set_budget(share, lq, lq)
        now = shares(network, lq)
        assert (now > before).all()
        before = now


# Training


def test_the_heavy_upsampler_trains_first_and_is_then_frozen() -> None:
    network = built()
    objective = SMALL.objective(network, l1_loss)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    lq, gt = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)

    def changed_by(progress: float) -> set[str]:
        before = {name: tensor.clone() for name, tensor in network.named_parameters()}
        optimiser.zero_grad()
        torch.stack(list(objective(lq, gt, progress).values())).sum().backward()
        optimiser.step()
        return {name.partition(".")[0] for name, now in network.named_parameters() if not now.equal(before[name])}

    for progress in (0.0, 0.39):
        assert changed_by(progress) == {"body", "heavy"}
        assert network.unasked
    for progress in (0.4, 1.0):
        assert changed_by(progress) == {"light", "classifier"}
        assert not network.unasked


def test_the_average_loss_is_0_for_half_heavy_and_its_weight_for_all_heavy() -> None:
    network = built(SMALL.replace(average_weight=0.5))
    objective = SMALL.replace(average_weight=0.5).objective(network, l1_loss)
    lq, gt = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    for part in (network.classifier.features, network.classifier.place):
        nn.init.zeros_(part.weight)
    assert objective(lq, gt, 1.0)["average"].item() == pytest.approx(0, abs=1e-6)
    network.classifier.last.bias.data[1] = 30
    assert objective(lq, gt, 1.0)["average"].item() == pytest.approx(0.5)


def test_the_blended_image_is_weighted_by_probability() -> None:
    network = built()
    lq = torch.rand(1, 3, 8, 8)
    for part in (network.classifier.features, network.classifier.place):
        nn.init.zeros_(part.weight)
    network.classifier.last.bias.data[1] = torch.tensor(3.0).log()  # three quarters heavy
    with torch.no_grad():
        blend = 0.25 * network.all_by(network.light, lq) + 0.75 * network.all_by(network.heavy, lq)
    assert SMALL.objective(network, l1_loss)(lq, blend, 1.0)["image"].item() == pytest.approx(0, abs=1e-6)


def test_the_trained_flag_of_the_classifier_is_saved_with_the_weights() -> None:
    network, other = network_in_use(), built()
    other.load_state_dict(network.state_dict())
    assert not other.unasked


def test_a_moving_average_uses_the_classifier_once_it_is_trained() -> None:
    network = built()
    average = ModelEmaV3(network, decay=0.999)
    network.unasked.fill_(False)
    average.update(network)
    assert not average.module.unasked


def test_the_initial_network_is_the_interpolation_and_training_improves_it() -> None:
    torch.manual_seed(0)
    network = Pixel(channels=8, shrink=6, layers=2, heavy=(12, 12), skip="bicubic").build(TASK)
    lq = upsample(torch.rand(1, 3, 4, 4), 4, "bilinear")
    with torch.no_grad():
        assert 0 < (network(lq) - upsample(lq, 2, "bicubic")).abs().mean() < 0.02
    losses = learning.losses(network, scale=2, rate=3e-3)
    assert losses[-1] < 0.97 * losses[0]


# No seams


def engine_of(network: Network, size: int, overlap: int, geometry: Geometry) -> Engine:
    alone = RoutedContainer(nn.Identity(), [network])
    return Engine(networks.of(alone), 2, size, overlap, geometry=geometry)


def test_tiles_with_enough_context_equal_the_whole_image() -> None:
    network, image = network_in_use(), torch.rand(3, 41, 37)
    halo = SMALL.reach(TASK)
    with torch.no_grad():
        whole = network(image[None])[0]
        tiled = engine_of(network, 16, 0, Geometry(halo=halo)).restore(image, 0).image
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_overlapping_tiles_agree_where_both_have_enough_context() -> None:
    network, image = network_in_use(), torch.rand(1, 3, 16, 30)
    network.set_budget(0.7, image, image)
    left, right = (network.adapt(image[..., a : a + 20])[0] for a in (0, 10))
    reach = SMALL.reach(TASK)
    seen_by_both = slice(2 * (10 + reach), 2 * (20 - reach))
    torch.testing.assert_close(left[..., seen_by_both], right[..., 2 * reach : 2 * (10 - reach)], atol=1e-5, rtol=0)


def test_an_image_is_adapted_tile_by_tile_with_its_cost() -> None:
    network, image = network_in_use(), torch.rand(3, 33, 25)
    engine = engine_of(network, 16, 4, Geometry())
    restored, spent = adapt(network, engine, image)
    expected = engine.restore(image, 0)
    torch.testing.assert_close(restored, expected.image, atol=1e-5, rtol=0)
    assert 0.5 * expected.cost < spent < expected.cost


# Documentation


def test_the_readme_figures_equal_the_counted_ones() -> None:
    with torch.device("meta"):
        network = Pixel().build(PlainTask(scale=4))
    assert isinstance(network, Network)
    costs = network.costs((3, 32, 32))
    text = README.read_text()
    assert costs.forward == multiply_adds(network, (1, 3, 32, 32))
    for name, cost_of_part in {
        "body, classifier, and first layers of the upsamplers": costs.fixed,
        "all pixels light": costs.fixed + costs.pixels * costs.light,
        "all pixels heavy": costs.fixed + costs.pixels * costs.heavy,
        "forward: both": costs.forward,
    }.items():
        assert (
            f"| {name} | {cost_of_part / 1e6:.2f} M | {cost_of_part / costs.forward:.0%} |".replace("%", " %") in text
        )
    assert f"{parameters(network):,} parameters" in text
