"""Claims about lowvision-sr; the constants are the paper's, or were counted on its reference networks."""

from __future__ import annotations

import sys
from functools import cache
from subprocess import check_output
from typing import Any

import learning
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from lowvision import Backbone, Skip, Task, resize, upsample
from lowvision.routing.cost import multiply_adds, paper_flops, parameters
from lowvision_sr import CARN, FSRCNN, RCAN, SRResNet, SuperResolution

TILE = (1, 3, 32, 32)
CLASS_MODULE_PARAMETERS = 60_035

SMALL: tuple[Backbone, ...] = (
    FSRCNN(channels=8, shrink=4, layers=2),
    CARN(channels=8, layers=2),
    CARN(channels=8, layers=1, batch_norm=True),
    SRResNet(channels=8, layers=2),
    RCAN(channels=16, layers=1, blocks=2, reduction=2),
)
FINITE = tuple(backbone for backbone in SMALL if not isinstance(backbone, RCAN))
SKIPS: tuple[Skip, ...] = ("nearest", "bilinear", "bicubic")


class AnyTask(Task):
    """A task of any scale and number of channels, without degradation."""

    def degrade(self, gt: Tensor, generator: torch.Generator) -> Tensor:
        return gt

    def baseline(self, lq: Tensor) -> Tensor:
        return lq


def name(value: Any) -> str:
    return f"{type(value).__name__}-{value.channels}" if isinstance(value, Backbone) else str(value)


@cache
def blueprint(backbone: Backbone) -> nn.Module:
    """The x4 network on the meta device: shapes without weights."""
    with torch.device("meta"):
        return backbone.build(SuperResolution(scale=4))


def seeded(backbone: Backbone, task: Task) -> nn.Module:
    torch.manual_seed(0)
    return backbone.build(task).eval()


def smooth_image(height: int, width: int, colours: int = 3) -> Tensor:
    """Return a smooth image (1,colours,height,width) in [0,1]."""
    torch.manual_seed(1)
    return upsample(torch.rand(1, colours, (height + 3) // 4, (width + 3) // 4), 4, "bilinear")[..., :height, :width]


def disturbed(network: nn.Module, size: int, radius: int, scale: int) -> Tensor:
    """Return the change of the output at the middle LQ pixel if all pixels farther than `radius` change."""
    middle = size // 2
    mask = torch.ones(size, size, dtype=torch.bool)
    mask[middle - radius : middle + radius + 1, middle - radius : middle + radius + 1] = False
    first = torch.rand(1, 3, size, size, dtype=torch.float64)
    second = torch.where(mask, torch.rand_like(first), first)
    with torch.no_grad():
        change = network(first) - network(second)
    inside = slice(middle * scale, (middle + 1) * scale)
    return change[..., inside, inside].abs().max()


# The paper's numbers


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        (FSRCNN(channels=16), 10_755),
        (FSRCNN(channels=36), 17_635),
        (FSRCNN(channels=56), 24_515),
        (CARN(channels=36), 93_963),
        (CARN(channels=52), 194_379),
        (CARN(channels=64), 293_379),
        (CARN(channels=36, batch_norm=True), 94_827),
        (CARN(channels=52, batch_norm=True), 195_627),
        (CARN(channels=64, batch_norm=True), 294_915),
        (SRResNet(channels=36), 481_683),
        (SRResNet(channels=52), 1_002_771),
        (SRResNet(channels=64), 1_517_571),
        (RCAN(channels=36), 4_940_683),
        (RCAN(channels=50), 9_521_803),
        (RCAN(channels=64), 15_592_355),
    ],
    ids=name,
)
def test_branches_have_the_parameter_counts_of_the_reference(backbone: Backbone, expected: int) -> None:
    # The reference's CARN and RCAN have 24 more: their mean shift is two 1x1 convolutions, ours a constant.
    assert parameters(blueprint(backbone)) == expected


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        ([FSRCNN(channels=channels) for channels in (16, 36, 56)], 112_940),
        ([CARN(channels=channels, batch_norm=True) for channels in (36, 52, 64)], 645_404),
        ([SRResNet(channels=channels) for channels in (36, 52, 64)], 3_062_060),
        ([RCAN(channels=channels) for channels in (36, 50, 64)], 30_114_876),
    ],
    ids=["FSRCNN", "CARN", "SRResNet", "RCAN"],
)
def test_containers_have_the_parameter_counts_of_the_reference(branches: list[Backbone], expected: int) -> None:
    assert sum(parameters(blueprint(branch)) for branch in branches) + CLASS_MODULE_PARAMETERS == expected


@pytest.mark.parametrize(
    ("backbone", "millions"),
    [
        (FSRCNN(channels=16), 10.91),
        (FSRCNN(channels=36), 17.92),
        (FSRCNN(channels=56), 24.92),
        (CARN(channels=36), 190.1),
        (CARN(channels=52), 385.8),
        (CARN(channels=64), 577.4),
        (CARN(channels=64, batch_norm=True), 577.4),
        (SRResNet(channels=36), 829.1),
        (SRResNet(channels=52), 1719.0),
        (SRResNet(channels=64), 2597.0),
        (SRResNet(channels=38, layers=12), 816),
        (SRResNet(channels=54, layers=14), 1745),
        (SRResNet(channels=42, layers=8), 865),
        (SRResNet(channels=56, layers=12), 1760),
        (RCAN(channels=36), 5164.8),
        (RCAN(channels=50), 9953.8),
        (RCAN(channels=64), 16299.9),
    ],
    ids=name,
)
def test_branch_costs_equal_the_counted_ones(backbone: Backbone, millions: float) -> None:
    digits = len(str(millions).partition(".")[2])
    assert round(multiply_adds(blueprint(backbone), TILE) / 1e6, digits) == millions


@pytest.mark.parametrize(
    ("backbone", "unit", "printed"),
    [
        (FSRCNN(channels=16), 1e6, 141),
        (FSRCNN(channels=36), 1e6, 304),
        (FSRCNN(channels=56), 1e6, 468),
        (CARN(channels=36), 1e9, 0.38),
        (CARN(channels=52), 1e9, 0.77),
        (CARN(channels=64), 1e9, 1.15),
        (SRResNet(channels=36), 1e9, 1.66),
        (SRResNet(channels=52), 1e9, 3.44),
        (SRResNet(channels=64), 1e9, 5.20),
        (RCAN(channels=36), 1e9, 10.33),
        (RCAN(channels=50), 1e9, 19.90),
        (RCAN(channels=64), 1e9, 32.60),
    ],
    ids=name,
)
def test_branch_costs_equal_the_paper_in_its_convention(backbone: Backbone, unit: float, printed: float) -> None:
    # The paper cuts 304.57 to 304 and rounds 5.194 up: within one unit of the last printed digit.
    last_digit = 10.0 ** -len(str(printed).partition(".")[2].rstrip("0")) if isinstance(printed, float) else 1
    assert abs(paper_flops(blueprint(backbone), TILE) / unit - printed) < last_digit


def test_defaults_are_the_base_networks_of_the_paper() -> None:
    assert FSRCNN() == FSRCNN(channels=56, shrink=12, layers=4, skip="none")
    assert CARN() == CARN(channels=64, layers=3, groups=4, batch_norm=False, skip="none")
    assert SRResNet() == SRResNet(channels=64, layers=16, skip="bilinear")
    assert RCAN() == RCAN(channels=64, layers=10, blocks=20, reduction=16, skip="none")


# Outputs, gradients and initial state of every network


@pytest.mark.parametrize("backbone", SMALL, ids=name)
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 9)], ids=str)
def test_the_output_is_exactly_scale_times_the_input(backbone: Backbone, scale: int, size: tuple[int, int]) -> None:
    network = seeded(backbone.replace(skip="bicubic"), AnyTask(scale=scale))
    height, width = size
    assert network(torch.rand(2, 3, height, width)).shape == (2, 3, height * scale, width * scale)


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_grey_images_are_restored(backbone: Backbone) -> None:
    network = seeded(backbone, SuperResolution(scale=2, channels=1))
    assert network(torch.rand(1, 1, 8, 8)).shape == (1, 1, 16, 16)


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_channels_last_gives_the_same_output(backbone: Backbone) -> None:
    network = seeded(backbone, SuperResolution(scale=4)).double()
    lq = torch.rand(2, 3, 12, 12, dtype=torch.float64)
    with torch.no_grad():
        plain = network(lq)
        last = network.to(memory_format=torch.channels_last)(lq.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, plain)


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_gradients_reach_every_parameter(backbone: Backbone) -> None:
    network = seeded(backbone, SuperResolution(scale=4)).train()
    network(torch.rand(2, 3, 12, 12)).abs().mean().backward()
    lost = [key for key, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]  # type: ignore[union-attr]  # None would be an error as well
    assert lost == []


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_the_same_seed_gives_the_same_weights(backbone: Backbone) -> None:
    first, second = (seeded(backbone, SuperResolution()).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_a_forward_pass_does_not_modify_its_input(backbone: Backbone) -> None:
    lq = torch.rand(1, 3, 8, 8)
    kept = lq.clone()
    seeded(backbone, SuperResolution())(lq)
    assert torch.equal(lq, kept)


# Initialisation


@pytest.mark.parametrize("backbone", [FSRCNN(), CARN(), CARN(batch_norm=True), SRResNet(), RCAN(layers=2)], ids=name)
@pytest.mark.parametrize("skip", SKIPS)
def test_an_initial_network_with_skip_is_near_the_interpolation(backbone: Backbone, skip: Any) -> None:
    network = seeded(backbone.replace(skip=skip), SuperResolution(scale=4))
    lq = smooth_image(24, 24)
    with torch.no_grad():
        difference = network(lq) - upsample(lq, 4, skip)
    assert 0 < difference.abs().mean() < 0.02


@pytest.mark.parametrize("backbone", SMALL, ids=name)
@pytest.mark.parametrize("skip", SKIPS)
def test_an_initial_network_with_skip_does_not_change_flat_areas(backbone: Backbone, skip: Any) -> None:
    network = seeded(backbone.replace(skip=skip), SuperResolution(scale=4))
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    features = first(torch.full((1, 3, 9, 9), 0.7))[..., 2:-2, 2:-2]  # away from the zeros around the image
    assert features.abs().max() < 1e-5


@pytest.mark.parametrize("backbone", [FSRCNN(), CARN(), SRResNet(), RCAN(layers=3)], ids=name)
def test_features_neither_vanish_nor_explode_through_the_layers(backbone: Backbone) -> None:
    network = seeded(backbone, SuperResolution(scale=4))
    deviations: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_pre_hook(lambda _module, inputs: deviations.append(inputs[0]))
    with torch.no_grad():
        network(smooth_image(32, 32))
    # One pixel, because channel attention depends only on the mean.
    strengths = [features.std().item() for features in deviations if features.shape[-1] > 1]
    assert min(strengths) > 1e-3
    assert max(strengths) < 30


@pytest.mark.parametrize(
    ("backbone", "rate"),
    [
        (FSRCNN(), 1e-3),
        (CARN(channels=16, layers=1), 1e-3),
        (SRResNet(channels=16), 1e-3),
        (RCAN(channels=16, layers=2, blocks=2), 1e-3),
    ],
    ids=name,
)
def test_a_few_training_steps_beat_the_interpolation(backbone: Backbone, rate: float) -> None:
    # With every layer's initial weights times 0.1, as the reference has it, FSRCNN stays exactly bicubic.
    task = SuperResolution(scale=4)
    network = seeded(backbone.replace(skip="bicubic"), task)
    losses = learning.losses(network, 4, rate, images=4, steps=40)
    assert losses[-1] < 0.97 * losses[0]


# Reach


@pytest.mark.parametrize("backbone", FINITE, ids=name)
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("skip", ["none", "bicubic"])
def test_reach_is_at_least_the_receptive_field_radius(backbone: Backbone, scale: int, skip: str) -> None:
    task = AnyTask(scale=scale)
    backbone = backbone.replace(skip=skip)
    network, reach = seeded(backbone, task).double(), backbone.reach(task)
    assert reach is not None
    size = 2 * reach + 5
    assert disturbed(network, size, reach, scale) == 0
    assert disturbed(network, size, reach - 1, scale) > 0, "reach is larger than need be"


def test_attention_has_global_reach() -> None:
    backbone, task = RCAN(channels=16, layers=1, blocks=1, reduction=2), SuperResolution()
    assert backbone.reach(task) is None
    assert disturbed(seeded(backbone, task).double(), 65, 31, 4) > 0


# Laws


def test_channels_of_carn_must_be_divisible_by_its_groups() -> None:
    with pytest.raises(ValidationError, match="channels 38 must be a multiple of groups 4"):
        CARN(channels=38)


@pytest.mark.parametrize("scale", [1, 5, 2.5, "4"])
def test_super_resolution_supports_scales_2_3_and_4(scale: Any) -> None:
    with pytest.raises(ValidationError, match="2, 3 or 4"):
        SuperResolution(scale=scale)


def test_a_narrow_rcan_keeps_at_least_one_attention_channel() -> None:
    assert seeded(RCAN(channels=8, layers=1, blocks=1), SuperResolution())(torch.rand(1, 3, 4, 4)).shape[-1] == 16


def test_listing_the_plugin_does_not_import_torch() -> None:
    program = "import sys, lowvision_sr as s; s.lowvision_backbones(); s.FSRCNN(); print('torch' in sys.modules)"
    assert check_output([sys.executable, "-c", program], text=True).strip() == "False"


# The task


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lq_is_the_antialiased_bicubic_reduction_within_range(scale: int) -> None:
    task = SuperResolution(scale=scale)
    gt = torch.rand(3, 24, 36).round()
    lq = task.degrade(gt, torch.Generator())
    assert lq.shape == (3, 24 // scale, 36 // scale)
    assert torch.equal(lq, resize(gt, (24 // scale, 36 // scale)).clamp(0, 1))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_baseline_is_bicubic(scale: int) -> None:
    lq = torch.rand(2, 3, 7, 5)
    restored = SuperResolution(scale=scale).baseline(lq)
    assert torch.equal(restored, resize(lq, (7 * scale, 5 * scale)))
