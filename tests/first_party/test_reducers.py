"""Claims about lowvision-reducers."""

from __future__ import annotations

import re
import sys
from subprocess import check_output
from typing import Any

import pytest
import torch
from pydantic import Field
from torch import nn

from lowvision import Backbone, Reducer, Task
from lowvision_acnet import ACNet
from lowvision_denoise import Denoising, DnCNN
from lowvision_reducers import Channels, Layers, Reparam
from lowvision_sr import CARN, FSRCNN, RCAN, SRResNet, SuperResolution


class Minimal(Backbone):
    """A third-party backbone with another name for its width."""

    width: int = Field(default=8, ge=1)

    def build(self, task: Task) -> nn.Module:
        return nn.Identity()

    def reach(self, task: Task) -> int:
        return 0


@pytest.mark.parametrize("backbone", [FSRCNN(skip="bicubic"), CARN(), SRResNet(), RCAN(blocks=3), DnCNN()], ids=repr)
@pytest.mark.parametrize(("reducer", "option", "level"), [(Channels(), "channels", 16), (Layers(), "layers", 2)])
def test_a_reducer_changes_one_option_only(backbone: Backbone, reducer: Reducer, option: str, level: int) -> None:
    smaller = reducer.reduce(backbone, level)
    assert type(smaller) is type(backbone)
    assert dict(smaller) == {**dict(backbone), option: level}


def test_channels_and_layers_compose() -> None:
    assert Layers().reduce(Channels().reduce(SRResNet(), 38), 12) == SRResNet(channels=38, layers=12)


@pytest.mark.parametrize(("reducer", "level"), [(Channels(), 64), (Layers(), 3)])
def test_the_current_level_returns_the_same_backbone(reducer: Reducer, level: int) -> None:
    assert reducer.reduce(CARN(), level) == CARN()


@pytest.mark.parametrize(
    ("reducer", "backbone", "level", "message"),
    [
        (Channels(), Minimal(), 4, "Minimal has no option 'channels' to reduce; its options are width"),
        (Layers(), Minimal(), 4, "Minimal has no option 'layers' to reduce; its options are width"),
        (Channels(), CARN(), 128, "CARN has 64 channels, not 128; a reducer only makes a backbone smaller"),
        (Layers(), DnCNN(), 18, "DnCNN has 17 layers, not 18; a reducer only makes a backbone smaller"),
        (Channels(), CARN(), 0, "channels must be a whole number, at least 1, not 0"),
        (Channels(), CARN(), -4, "channels must be a whole number, at least 1, not -4"),
        (Channels(), CARN(), 36.0, "channels must be a whole number, at least 1, not 36.0"),
        (Channels(), CARN(), "half", "channels must be a whole number, at least 1, not 'half'"),
        (Layers(), CARN(), True, "layers must be a whole number, at least 1, not True"),
        (Channels(), CARN(), 38, "channels 38 must be a multiple of groups 4"),
        (Layers(), DnCNN(), 1, "greater than or equal to 2"),
    ],
)
def test_impossible_reductions_are_reported(reducer: Reducer, backbone: Backbone, level: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        reducer.reduce(backbone, level)


def test_listing_the_plugin_does_not_import_torch() -> None:
    program = "import sys, lowvision_reducers as r; r.lowvision_reducers(); r.Channels(); print('torch' in sys.modules)"
    assert check_output([sys.executable, "-c", program], text=True).strip() == "False"


TASKS: dict[type[Backbone], Task] = {DnCNN: Denoising()}
NETWORKS = [
    FSRCNN(channels=8, skip="bicubic"),
    CARN(channels=8, groups=2, skip="bicubic"),
    CARN(channels=8, groups=2, batch_norm=True),
    SRResNet(channels=8, layers=4),
    RCAN(channels=8, layers=2, blocks=2, reduction=4),
    DnCNN(channels=8, layers=6, batch_norm=True),
]
KEPT = [0, 2, 5, 6]
"""Two channels of each half, so that they are valid for two groups."""


def built(backbone: Backbone, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = backbone.build(TASKS.get(type(backbone), SuperResolution(scale=4))).eval()
    for parameter in network.parameters():  # no layer may be faint, or the output would hardly depend on the others
        nn.init.normal_(parameter, std=0.2)
    return network.double()


def zero_dropped_weights(network: nn.Module, dropped: list[int], count: int) -> None:
    """Set all weights of the network's dropped channels to zero."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.out_channels % count == 0:
                times = module.out_channels // count
                rows = [channel * times + part for channel in dropped for part in range(times)]
                module.weight[rows] = 0
                if module.bias is not None:
                    module.bias[rows] = 0
            if isinstance(module, nn.Conv2d) and module.groups == 1 and module.in_channels % count == 0:
                module.weight[:, [start + c for start in range(0, module.in_channels, count) for c in dropped]] = 0
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                of_groups = module.weight.unflatten(0, (module.groups, -1))
                for group, own in (divmod(c, count // module.groups) for c in dropped):
                    of_groups[group, :, own] = 0
            if isinstance(module, nn.ConvTranspose2d):
                module.weight[dropped] = 0
            if isinstance(module, nn.BatchNorm2d):
                module.bias[dropped] = 0


@pytest.mark.parametrize("backbone", NETWORKS, ids=repr)
def test_a_network_of_the_same_size_inherits_everything(backbone: Backbone) -> None:
    larger, same = built(backbone, 0), built(backbone, 1)
    image = torch.rand(1, 3, 12, 12, dtype=torch.float64)
    assert Channels().inherit(larger, same)
    assert torch.equal(same(image), larger(image))


# Not RCAN: its attention has half the hidden channels then, and so computes something else.
@pytest.mark.parametrize("backbone", [b for b in NETWORKS if not isinstance(b, RCAN)], ids=repr)
def test_fewer_channels_compute_the_same_if_the_removed_ones_were_zero(backbone: Backbone) -> None:
    larger, smaller = built(backbone, 0), built(Channels().reduce(backbone, len(KEPT)), 1)
    zero_dropped_weights(larger, [c for c in range(8) if c not in KEPT], 8)
    image = torch.rand(1, 3, 12, 12, dtype=torch.float64)
    assert Channels().inherit(larger, smaller)
    torch.testing.assert_close(smaller(image), larger(image))


def test_inherited_slices_keep_the_scale_of_features_in_deep_networks() -> None:
    backbone = DnCNN(channels=32, layers=12)
    larger, smaller = (b.build(Denoising()).eval() for b in (backbone, backbone.replace(channels=8)))
    for module in larger.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=torch.Generator().manual_seed(0))
            nn.init.zeros_(module.bias)
    assert Channels().inherit(larger, smaller)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    whole, part = ((network(image) - image).std() for network in (larger, smaller))
    assert 0.3 < part / whole < 3


@pytest.mark.parametrize("backbone", NETWORKS, ids=repr)
def test_fewer_layers_inherit_the_first_layers_head_and_tail(backbone: Backbone) -> None:
    fewer = Layers().reduce(backbone, backbone.model_dump()["layers"] - 1)
    larger, smaller = built(backbone, 0), built(fewer, 1)
    assert Layers().inherit(larger, smaller)
    larger_parameters, smaller_parameters = list(larger.parameters()), list(smaller.parameters())
    assert all(any(torch.equal(m, t) for t in larger_parameters) for m in smaller_parameters)
    assert torch.equal(smaller_parameters[0], larger_parameters[0])
    assert torch.equal(smaller_parameters[-1], larger_parameters[-1])


def test_another_architecture_inherits_nothing() -> None:
    larger, other = built(SRResNet(channels=8, layers=4), 0), built(FSRCNN(channels=8), 1)
    before = [parameter.clone() for parameter in other.parameters()]
    assert not Channels().inherit(larger, other)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))


# Fusing


@pytest.mark.parametrize(
    ("backbone", "level", "message"),
    [
        (CARN(), "fused", "CARN has no training form that could be fused"),
        (ACNet(), "both", "the level must be fused or parallel, not 'both'"),
        (ACNet(), 1, "the level must be fused or parallel, not 1"),
        (ACNet(fused=True), "parallel", "this ACNet is fused already; a reducer only makes a backbone smaller"),
    ],
)
def test_impossible_fusions_are_reported(backbone: Backbone, level: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Reparam().reduce(backbone, level)


def test_the_levels_are_fused_and_unchanged() -> None:
    assert Reparam().reduce(ACNet(), "fused") == ACNet(fused=True)
    assert Reparam().reduce(ACNet(fused=True), "fused") == ACNet(fused=True)
    assert Reparam().reduce(ACNet(), "parallel") == ACNet()
