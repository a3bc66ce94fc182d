"""Claims about the networks of lowvision-efficient; the constants are from papers and the authors' files."""

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
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from lowvision import Backbone, Task, upsample
from lowvision.layers import fuse
from lowvision.routing.cost import multiply_adds, parameters
from lowvision.testing import PlainTask, check_backbone, measured_reach, networks
from lowvision.testing.backbones import subject_of
from lowvision_efficient import BSRN, DISP, PRESETS, RLFN, SPAN, PlainUSR, lowvision_backbones, lowvision_formats
from lowvision_efficient.plainusr import soft_pooled
from lowvision_efficient.reparam import Conv3XC
from lowvision_sr import SuperResolution

README = Path(__file__).parents[2] / "plugins" / "lowvision-efficient" / "README.md"
SMALL: tuple[Backbone, ...] = (
    DISP(channels=4, layers=2),
    DISP(channels=5, layers=2, unshuffle=2),
    SPAN(channels=4, layers=2),
    SPAN(channels=3, layers=2, form="branches"),
    RLFN(channels=4, layers=2, hidden=3),
    BSRN(channels=40, layers=2),
    PlainUSR(size="U", channels=6),
    PlainUSR(size="S", channels=8, layers=3, hidden=2),
)
EXPORTED: tuple[Backbone, ...] = (
    RLFN(channels=4, layers=1, hidden=3),
    PlainUSR(size="U", channels=6),
    PlainUSR(size="S", channels=8, layers=3, hidden=2),
)
"""Networks whose export is tested, with all operators; the others use only those that are tested elsewhere."""


def name(value: Any) -> str:
    if not isinstance(value, Backbone):
        return str(value)
    more = "".join(f"-{getattr(value, option)}" for option in ("size", "form") if hasattr(value, option))
    return f"{type(value).__name__}-{value.channels}{more}"  # type: ignore[attr-defined]  # each of these has channels


@cache
def blueprint(backbone: Backbone, scale: int, colours: int = 3) -> nn.Module:
    """Build a network on the meta device: shapes without weights."""
    with torch.device("meta"):
        return backbone.build(PlainTask(scale=scale, channels=colours))


def seeded(backbone: Backbone, task: Task, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return backbone.build(task).eval()


def smooth_image(height: int, width: int) -> Tensor:
    """Return a smooth image (1,3,height,width) in [0,1]."""
    torch.manual_seed(1)
    return upsample(torch.rand(1, 3, height // 4, width // 4), 4, "bilinear")


# Sizes and costs


@pytest.mark.parametrize(
    ("backbone", "exact"),
    [
        (DISP(), 163_792),
        (DISP(unshuffle=2), 163_792 + 9 * 32 * 9 + 3 * 48 * (9 * 32 + 1)),
        (RLFN(), 470_208),
        (BSRN(), 352_400),
        (PlainUSR(size="U"), 19_820),
        (PlainUSR(size="T"), 60_100),
        (PlainUSR(size="S"), 68_612),
        (PlainUSR(size="M"), 165_492),
        (PlainUSR(size="B"), 333_108),
        (PlainUSR(size="L"), 734_004),
    ],
    ids=name,
)
def test_x4_networks_have_the_parameter_counts_of_the_authors_files(backbone: Backbone, exact: int) -> None:
    assert parameters(blueprint(backbone, 4)) == exact


@pytest.mark.parametrize(("channels", "thousands"), [(28, 151), (48, 426), (52, 498)])
def test_plain_span_has_the_published_parameter_count(channels: int, thousands: int) -> None:
    assert round(parameters(blueprint(SPAN(channels=channels), 4)) / 1000) == thousands


@pytest.mark.parametrize(
    ("backbone", "printed", "digits"),
    [
        (DISP(), 10.69, 2),
        (SPAN(channels=28), 9.83, 2),
        (SPAN(channels=48), 27.9, 1),
        (SPAN(channels=52), 32.6, 1),
        (RLFN(), 29.1, 1),
        (BSRN(), 21.8, 1),
        (PlainUSR(size="U"), 1.29, 2),
        (PlainUSR(size="T"), 3.92, 2),
        (PlainUSR(size="S"), 4.18, 2),
        (PlainUSR(size="M"), 9.81, 2),
        (PlainUSR(size="B"), 18.7, 1),
        (PlainUSR(size="L"), 44.2, 1),
    ],
    ids=name,
)
def test_the_cost_of_a_256_pixel_input_equals_the_published_one(
    backbone: Backbone, printed: float, digits: int
) -> None:
    assert round(multiply_adds(blueprint(backbone, 4), (1, 3, 256, 256)) / 1e9, digits) == printed


@pytest.mark.parametrize(
    ("backbone", "exact"),
    [
        (DISP(), 167_084_032),
        (SPAN(channels=28), 153_653_248),
        (RLFN(), 454_401_024),
        (BSRN(), 340_743_680),
        (PlainUSR(size="U"), 20_136_960),
        (PlainUSR(size="M"), 153_203_392),
        (PlainUSR(size="L"), 690_101_760),
    ],
    ids=name,
)
def test_the_cost_of_a_32_pixel_tile_is_exact(backbone: Backbone, exact: int) -> None:
    assert multiply_adds(blueprint(backbone, 4), (1, 3, 32, 32)) == exact


def table() -> list[list[str]]:
    """Return the rows of the README's table of sizes and costs."""
    text = (README.read_text().split("| network | options |")[1]).split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


@pytest.mark.parametrize("row", table(), ids=lambda row: row[0])
def test_the_readme_figures_equal_the_counted_ones(row: list[str]) -> None:
    label, options, counted, spent, reach, _ = row
    options_by_name = dict(re.findall(r"(\w+): (\w+)", options))
    kind: Any = {"Pl": PlainUSR, "SP": SPAN, "DI": DISP, "RL": RLFN, "BS": BSRN}[label[:2]]
    backbone = kind(**{option: int(value) if value.isdecimal() else value for option, value in options_by_name.items()})
    assert f"{parameters(blueprint(backbone, 4)):,}" == counted
    assert f"{multiply_adds(blueprint(backbone, 4), (1, 3, 32, 32)) / 1e6:.1f} M" == spent
    assert {None: "whole input"}.get(
        backbone.reach(PlainTask(scale=4)), str(backbone.reach(PlainTask(scale=4)))
    ) == reach


# Outputs, gradients and initial state of every network


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_the_backbone_passes_its_check(backbone: Backbone) -> None:
    check_backbone(backbone, exportable=False)


@pytest.mark.parametrize("backbone", EXPORTED, ids=name)
def test_every_runtime_computes_the_same_from_its_graph(backbone: Backbone) -> None:
    networks.check_export(subject_of(backbone, PlainTask(scale=2))[0])


@pytest.mark.parametrize(
    ("backbone", "reach"),
    [
        (DISP(), 18),
        (DISP(channels=5, layers=1, unshuffle=2), 13),
        (SPAN(channels=4), 21),
        (PlainUSR(size="U"), 9),
        (PlainUSR(size="T"), 9),
    ],
    ids=name,
)
def test_reach_equals_the_receptive_field_radius(backbone: Backbone, reach: int) -> None:
    task = PlainTask(scale=2)
    assert backbone.reach(task) == measured_reach(backbone, task, 30) == reach


@pytest.mark.parametrize("backbone", [RLFN(), BSRN(), *(PlainUSR(size=size) for size in "SMBL")], ids=name)  # type: ignore[arg-type]  # of the sizes
def test_networks_with_pooled_attention_have_global_reach(backbone: Backbone) -> None:
    assert backbone.reach(PlainTask(scale=2)) is None


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_gradients_of_a_black_tile_are_finite(backbone: Backbone) -> None:
    network = seeded(backbone, SuperResolution(scale=2)).train()
    network(torch.zeros(2, 3, 16, 16)).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters() if parameter.grad is not None)


# PlainUSR


@pytest.mark.parametrize(
    ("options", "widths"),
    [
        ({"size": "L"}, (80, 64, 48, 64, 80)),
        ({"size": "U"}, (16, 8, 16)),
        ({"size": "L", "channels": 40}, (40, 32, 24, 32, 40)),
        ({"size": "M", "channels": 40, "narrower": (20, 10)}, (40, 20, 10, 20, 40)),
        ({"size": "M", "layers": 3}, (48, 32, 48)),
        ({"size": "M", "layers": 4}, (48, 32, 32, 48)),
        ({"size": "M", "layers": 7}, (48, 32, 16, 16, 16, 32, 48)),
        ({"size": "M", "layers": 1}, (48,)),
    ],
)
def test_blocks_of_plainusr_narrow_towards_the_middle(options: dict[str, Any], widths: tuple[int, ...]) -> None:
    assert PlainUSR(**options).widths() == widths


def test_sizes_of_plainusr_are_defaults_of_its_options() -> None:
    for size, options in PRESETS.items():
        backbone = PlainUSR(size=size)  # type: ignore[arg-type]  # one of them
        defaults = {option: getattr(backbone, option) for option in options if option != "narrower"}
        assert {**defaults, "narrower": backbone.widths()[1 : backbone.layers // 2 + 1]} == options


def test_inner_blocks_wider_than_outer_ones_are_refused_in_plainusr() -> None:
    with pytest.raises(ValidationError, match=r"channels 8 and narrower \[16\].*leave narrower out"):
        PlainUSR(channels=8, narrower=(16,))


@given(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32))
@settings(max_examples=20)
def test_soft_pooling_returns_values_within_the_range_of_its_input(low: float, high: float) -> None:
    low, high = sorted((low, high))
    features = torch.full((1, 1, 7, 7), low)
    features[..., 3, 3] = high
    pooled = soft_pooled(features).item()
    assert low - abs(low) * 1e-4 - 1e-4 <= pooled <= high + abs(high) * 1e-4 + 1e-4


def test_soft_pooling_weights_are_exponentials() -> None:
    features = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    weights = features.flatten(2).softmax(dim=2)
    torch.testing.assert_close(soft_pooled(features).flatten(1), (weights * features.flatten(2)).sum(dim=2))


# The training form of SPAN


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_a_folded_convolution_equals_its_branches(into: int, out: int, seed: int) -> None:
    torch.manual_seed(seed)
    module = Conv3XC(into, out)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    image = torch.randn(2, into, 6, 5)
    with torch.no_grad():
        expected = module(image)
        difference = (module.fused()(image) - expected).abs().max()
    assert difference <= 1e-5 * max(1, expected.abs().max())


def test_span_in_training_form_is_fused_to_plain_span() -> None:
    task = PlainTask(scale=2)
    branches = seeded(SPAN(channels=5, layers=2, form="branches"), task)
    plain = seeded(SPAN(channels=5, layers=2), task, 1)
    assert fuse(branches, plain)
    image = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        torch.testing.assert_close(plain(image), branches(image), rtol=1e-4, atol=1e-5)


# Initialisation

FULL: tuple[Backbone, ...] = (DISP(), SPAN(channels=28), RLFN(), BSRN(), *(PlainUSR(size=size) for size in "USL"))  # type: ignore[arg-type]  # of the sizes


@pytest.mark.parametrize("backbone", FULL, ids=name)
def test_an_initial_network_with_skip_is_near_the_interpolation(backbone: Backbone) -> None:
    network = seeded(backbone.replace(skip="bicubic"), SuperResolution(scale=2))
    lq = smooth_image(24, 24)
    with torch.no_grad():
        difference = network(lq) - upsample(lq, 2, "bicubic")
    assert 0 < difference.abs().mean() < 0.03


@pytest.mark.parametrize("backbone", FULL, ids=name)
def test_features_neither_vanish_nor_explode_through_the_layers(backbone: Backbone) -> None:
    network = seeded(backbone.replace(skip="none"), SuperResolution(scale=2))
    white = 255 if isinstance(backbone, SPAN) else 1
    deviations: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _module, inputs: deviations.append(inputs[0]))
    with torch.no_grad():
        network(smooth_image(32, 32))
    strengths = [features.std().item() / white for features in deviations if features.shape[-1] > 1]
    assert min(strengths) > 1e-3
    assert max(strengths) < 30


@pytest.mark.parametrize(
    "backbone",
    [
        DISP(channels=16, layers=2),
        SPAN(channels=16, layers=2),
        RLFN(channels=16, layers=2),
        BSRN(channels=24, layers=2),
        PlainUSR(size="U"),
        PlainUSR(size="S", channels=16),
    ],
    ids=name,
)
def test_a_few_training_steps_beat_the_interpolation(backbone: Backbone) -> None:
    network = seeded(backbone.replace(skip="bicubic"), SuperResolution(scale=2))
    losses = learning.losses(network, scale=2)
    assert losses[-1] < 0.97 * losses[0]


def test_every_backbone_has_a_format_for_the_authors_files() -> None:
    names = ["disp", "span", "plainusr", "rlfn", "bsrn"]
    assert list(lowvision_backbones()) == names
    assert list(lowvision_formats()) == [f"{name}_file" for name in names]


def test_listing_the_plugin_does_not_import_torch() -> None:
    program = (
        "import sys, lowvision_efficient as p; p.lowvision_backbones(); p.PlainUSR(); print('torch' in sys.modules)"
    )
    assert check_output([sys.executable, "-c", program], text=True).strip() == "False"
