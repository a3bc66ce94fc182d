"""Claims about lowvision-light; the constants are printed in the papers, or follow from their descriptions."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from subprocess import check_output
from typing import Any

import learning
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lowvision import Backbone, Task, upsample
from lowvision.routing.cost import multiply_adds, parameters
from lowvision.testing import PlainTask, check_backbone, measured_reach, networks
from lowvision.testing.backbones import subject_of
from lowvision_light import EDSR, ESPCN, IMDN, PAN, SRCNN, VDSR, lowvision_backbones, through_bicubic
from lowvision_light.imdn import SplitConv, contrast
from lowvision_reducers import Channels, Layers
from lowvision_sr import SuperResolution

README = Path(__file__).parents[2] / "plugins" / "lowvision-light" / "README.md"
TOLD: dict[str, Backbone] = {
    "SRCNN 9-1-5": SRCNN(middle=1),
    "SRCNN 9-3-5": SRCNN(middle=3),
    "SRCNN 9-5-5": SRCNN(),
    "VDSR": VDSR(),
    "ESPCN": ESPCN(),
    "EDSR-baseline": EDSR(),
    "IMDN": IMDN(),
    "PAN": PAN(),
}
"""The networks of the README's table."""
TILE = 32
SMALL: tuple[Backbone, ...] = (
    SRCNN(channels=8, layers=2, middle=3),
    VDSR(channels=4, layers=4),
    ESPCN(channels=8, layers=2),
    EDSR(channels=4, layers=2),
    IMDN(channels=8, layers=2),
    PAN(channels=10, layers=2),
)


def name(value: Any) -> str:
    return f"{type(value).__name__}-{value.channels}" if isinstance(value, Backbone) else str(value)


@cache
def blueprint(backbone: Backbone, scale: int, colours: int) -> nn.Module:
    """Build a network on the meta device: shapes without weights."""
    with torch.device("meta"):
        return backbone.build(SuperResolution(scale=scale, channels=colours))


def without_biases(network: nn.Module) -> int:
    return sum(p.numel() for key, p in network.named_parameters() if not key.endswith("bias"))


def seeded(backbone: Backbone, task: Task, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return backbone.build(task).eval()


def smooth_image(height: int, width: int) -> Tensor:
    """Return a smooth image (1,3,height,width) in [0,1]."""
    torch.manual_seed(1)
    return upsample(torch.rand(1, 3, height // 4, width // 4), 4, "bilinear")


# The papers' numbers


@pytest.mark.parametrize(("middle", "printed"), [(1, 8_032), (3, 24_416), (5, 57_184)])
def test_srcnn_for_luma_has_the_weight_count_of_its_paper(middle: Any, printed: int) -> None:
    # Dong et al. 2016, section 4.3: 9-1-5, 9-3-5 and 9-5-5, counted without biases.
    assert without_biases(blueprint(SRCNN(middle=middle), 4, 1)) == printed
    assert parameters(blueprint(SRCNN(middle=middle), 4, 1)) == printed + 64 + 32 + 1


def test_vdsr_for_luma_has_the_weight_count_of_later_papers() -> None:
    # 665K in Ahn et al. 2018 (CARN) and Hui et al. 2019 (IMDN), 666K in others: without and with biases.
    assert without_biases(blueprint(VDSR(), 4, 1)) == 664_704
    assert parameters(blueprint(VDSR(), 4, 1)) == 665_921
    assert parameters(blueprint(VDSR(), 4, 3)) == 668_227


@pytest.mark.parametrize(("scale", "expected", "rgb"), [(2, 21_184, 26_796), (3, 22_624, 31_131), (4, 24_640, 37_200)])
def test_espcn_has_the_weight_count_that_follows_from_its_paper(scale: int, expected: int, rgb: int) -> None:
    # 5x5 to 64, 3x3 to 32, 3x3 to scale^2 for luma; for RGB with biases.
    assert without_biases(blueprint(ESPCN(), scale, 1)) == expected
    assert parameters(blueprint(ESPCN(), scale, 3)) == rgb


@pytest.mark.parametrize(
    ("backbone", "scale", "thousands", "exact"),
    [
        (EDSR(), 2, 1370, 1_369_859),  # the authors' 24 more are a mean shift by two 1x1 convolutions
        (EDSR(), 3, 1554, 1_554_499),
        (EDSR(), 4, 1518, 1_517_571),
        (IMDN(), 2, 694, 694_404),
        (IMDN(), 3, 703, 703_059),
        (IMDN(), 4, 715, 715_176),
        (PAN(), 2, 261, 261_403),
        (PAN(), 3, 261, 261_403),
        (PAN(), 4, 272, 272_419),
    ],
    ids=name,
)
def test_rgb_networks_have_the_published_parameter_counts(
    backbone: Backbone, scale: int, thousands: int, exact: int
) -> None:
    counted = parameters(blueprint(backbone, scale, 3))
    assert (counted, round(counted / 1000)) == (exact, thousands)


@pytest.mark.parametrize(
    ("backbone", "colours", "scale", "printed"),
    [
        (SRCNN(), 1, 4, 52.7),
        (VDSR(), 1, 4, 612.6),
        (IMDN(), 3, 2, 158.8),
        (IMDN(), 3, 4, 40.9),
        (PAN(), 3, 2, 70.5),
        (PAN(), 3, 4, 28.2),
    ],
    ids=name,
)
def test_the_cost_of_a_720_line_image_equals_the_published_one(
    backbone: Backbone, colours: int, scale: int, printed: float
) -> None:
    # In 10^9 multiply-adds for an output of 1280x720, as papers on lightweight super-resolution report.
    cost = multiply_adds(blueprint(backbone, scale, colours), (1, colours, 720 // scale, 1280 // scale))
    assert round(cost / 1e9, 1) == printed


def readme_rows() -> list[list[str]]:
    """Return the rows of the README's table of weights and costs."""
    table = (README.read_text().split("| network |")[1]).split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@pytest.mark.parametrize("row", readme_rows(), ids=lambda row: f"{row[0]}-{row[1]}")
def test_the_readme_figures_equal_the_counted_ones(row: list[str]) -> None:
    network, colours, *weights, _printed, cost = row
    backbone, channels = TOLD[network], int(colours)
    for scale, cell in zip((2, 3, 4), weights, strict=True):
        bare, full = re.fullmatch(r"(?:([\d,]+) )?\(([\d,]+)\)", cell if cell != "the same" else weights[0]).groups()  # type: ignore[union-attr]  # a cell that does not match is an error as well
        built = blueprint(backbone, scale, channels)
        assert parameters(built) == int(full.replace(",", ""))
        assert bare is None or without_biases(built) == int(bare.replace(",", ""))
    spent = multiply_adds(blueprint(backbone, 4, channels), (1, channels, TILE, TILE))
    assert f"{spent / 1e6:,.1f} M" == cost


def test_defaults_are_the_networks_of_the_papers() -> None:
    assert SRCNN() == SRCNN(channels=64, layers=1, middle=5, skip="none")
    assert VDSR() == VDSR(channels=64, layers=20, skip="bicubic")
    assert ESPCN() == ESPCN(channels=64, layers=1, skip="none")
    assert EDSR() == EDSR(channels=64, layers=16, skip="none")
    assert IMDN() == IMDN(channels=64, layers=6, skip="none")
    assert PAN() == PAN(channels=40, layers=16, skip="bilinear")


# Outputs, gradients and initial state of every network


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_the_backbone_passes_its_check(backbone: Backbone) -> None:
    check_backbone(backbone, exportable=False)


@pytest.mark.parametrize("backbone", [IMDN(channels=8, layers=1), PAN(channels=10, layers=1)], ids=name)
def test_every_runtime_computes_the_same_from_its_graph(backbone: Backbone) -> None:
    # One layer has all operators. The other networks have none that those of lowvision-sr do not export.
    networks.check_export(subject_of(backbone, PlainTask(scale=2))[0])


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_gradients_of_a_black_tile_are_finite(backbone: Backbone) -> None:
    network = seeded(backbone, SuperResolution(scale=2)).train()
    network(torch.zeros(2, 3, 8, 8)).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters() if parameter.grad is not None)


def test_a_joined_convolution_equals_convolution_of_the_concatenation() -> None:
    joined = SplitConv([2, 3, 4], 5).double()
    parts = [torch.rand(1, width, 6, 6, dtype=torch.float64) for width in (2, 3, 4)]
    weight = torch.cat([part.weight for part in joined.parts], dim=1)
    whole = functional.conv2d(torch.cat(parts, dim=1), weight, joined.parts[0].bias)
    torch.testing.assert_close(joined(parts), whole)


def test_contrast_is_mean_plus_deviation() -> None:
    features = torch.rand(2, 3, 8, 8)
    expected = features.mean(dim=(2, 3)) + features.std(dim=(2, 3), correction=0)
    torch.testing.assert_close(contrast(features)[..., 0, 0], expected, atol=1e-5, rtol=1e-4)


# Initialisation

FULL: tuple[Backbone, ...] = (SRCNN(), VDSR(), ESPCN(), EDSR(), IMDN(), PAN())


@pytest.mark.parametrize("backbone", FULL, ids=name)
def test_an_initial_network_with_skip_is_near_the_interpolation(backbone: Backbone) -> None:
    network = seeded(backbone.replace(skip="bicubic"), SuperResolution(scale=2))
    lq = smooth_image(16, 16)
    with torch.no_grad():
        difference = network(lq) - upsample(lq, 2, "bicubic")
    assert 0 < difference.abs().mean() < 0.02


@pytest.mark.parametrize("backbone", FULL, ids=name)
def test_features_neither_vanish_nor_explode_through_the_layers(backbone: Backbone) -> None:
    network = seeded(backbone.replace(skip="none"), SuperResolution(scale=2))
    deviations: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _module, inputs: deviations.append(inputs[0]))
    with torch.no_grad():
        network(smooth_image(24, 24))
    # One pixel, because channel attention depends only on the mean.
    strengths = [features.std().item() for features in deviations if features.shape[-1] > 1]
    assert min(strengths) > 1e-3
    assert max(strengths) < 30


@pytest.mark.parametrize(
    "backbone",
    [
        SRCNN(channels=32, middle=1),
        VDSR(channels=16, layers=6),
        ESPCN(),
        EDSR(channels=16, layers=4),
        IMDN(channels=16, layers=2),
        PAN(channels=20, layers=4),
    ],
    ids=name,
)
def test_a_few_training_steps_beat_the_interpolation(backbone: Backbone) -> None:
    task = SuperResolution(scale=2)
    network = seeded(backbone.replace(skip="bicubic"), task)
    losses = learning.losses(network, scale=2)
    assert losses[-1] < 0.97 * losses[0]


# Reach


@pytest.mark.parametrize("backbone", SMALL, ids=name)
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_reach_equals_the_receptive_field_radius(backbone: Backbone, scale: int) -> None:
    task = PlainTask(scale=scale)
    assert measured_reach(backbone.replace(skip="none"), task, 20) == backbone.reach(task)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("radius", [1, 2, 5, 6, 7, 20])
def test_through_bicubic_returns_the_exact_reach(radius: int, scale: int) -> None:
    reach = through_bicubic(radius, scale)
    lq = torch.zeros(1, 1, 1, 2 * reach + 5, dtype=torch.float64)
    middle = reach + 2
    seen = slice(middle * scale - radius, (middle + 1) * scale + radius)
    touched = []
    for column in range(lq.shape[-1]):
        impulse = lq.clone()
        impulse[..., column] = 1
        if upsample(impulse, scale, "bicubic")[..., seen].abs().sum() > 0:
            touched.append(column)
    assert (touched[0], touched[-1]) == (middle - reach, middle + reach)


# Reducers

LARGER = (
    SRCNN(channels=8, layers=2),
    VDSR(channels=8, layers=4),
    ESPCN(channels=8, layers=2),
    EDSR(channels=8, layers=2),
    IMDN(channels=32, layers=2),
    PAN(channels=10, layers=2),
)


def randomised(backbone: Backbone, seed: int) -> nn.Module:
    """Build a network with random weights in every layer, so that its output depends on all of them."""
    network = seeded(backbone, SuperResolution(scale=4), seed)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.double()


def zero_dropped_weights(network: nn.Module, smaller: nn.Module, kept: list[int], count: int) -> None:
    """Set the weights that `smaller` lacks to zero: channels not in `kept`, or the last ones."""

    def dropped(old: int, new: int) -> list[int]:
        if old % count or old == new:
            return list(range(new, old))
        times = old // count
        return [c * times + part for c in range(count) if c not in kept for part in range(times)]

    with torch.no_grad():
        convolutions = dict(smaller.named_modules())
        for key, large in network.named_modules():
            if isinstance(large, nn.Conv2d):
                small = convolutions[key]
                assert isinstance(small, nn.Conv2d)
                rows = dropped(large.out_channels, small.out_channels)
                large.weight[rows] = 0
                if large.bias is not None:
                    large.bias[rows] = 0
                large.weight[:, dropped(large.in_channels, small.in_channels)] = 0


@pytest.mark.parametrize("backbone", LARGER, ids=name)
def test_fewer_channels_compute_the_same_if_the_removed_ones_were_zero(backbone: Any) -> None:
    kept = [c for c in range(backbone.channels) if c % 2 == 0]
    larger, smaller = randomised(backbone, 0), randomised(Channels().reduce(backbone, len(kept)), 1)
    zero_dropped_weights(larger, smaller, kept, backbone.channels)
    image = torch.rand(1, 3, 12, 12, dtype=torch.float64)
    assert Channels().inherit(larger, smaller)
    torch.testing.assert_close(smaller(image), larger(image))


@pytest.mark.parametrize("backbone", LARGER, ids=name)
def test_fewer_layers_inherit_the_first_layers_head_and_tail(backbone: Any) -> None:
    larger, smaller = randomised(backbone, 0), randomised(Layers().reduce(backbone, backbone.layers - 1), 1)
    assert Layers().inherit(larger, smaller)
    theirs, smaller_parameters = dict(larger.named_parameters()), dict(smaller.named_parameters())
    assert smaller_parameters.keys() < theirs.keys()
    assert all(torch.equal(smaller_parameters[key], theirs[key]) for key in smaller_parameters)


def test_the_plugin_registers_six_backbones() -> None:
    assert list(lowvision_backbones()) == ["srcnn", "vdsr", "espcn", "edsr", "imdn", "pan"]


def test_listing_the_plugin_does_not_import_torch() -> None:
    program = "import sys, lowvision_light as p; p.lowvision_backbones(); p.PAN(); print('torch' in sys.modules)"
    assert check_output([sys.executable, "-c", program], text=True).strip() == "False"
