"""Claims about lowvision-denoise; the constants were counted on the paper's networks."""

from __future__ import annotations

import sys
from subprocess import check_output
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lowvision.routing.cost import multiply_adds, paper_flops, parameters
from lowvision_denoise import Denoising, DnCNN

TILE = (1, 3, 32, 32)
SMALL = (DnCNN(channels=8, layers=4), DnCNN(channels=8, layers=4, batch_norm=True), DnCNN(channels=8, layers=2))


def name(backbone: Any) -> str:
    return f"{backbone.channels}-{backbone.layers}-{'norm' if backbone.batch_norm else 'plain'}"


def seeded(backbone: DnCNN) -> nn.Module:
    torch.manual_seed(0)
    return backbone.build(Denoising()).eval()


def blueprint(backbone: DnCNN) -> nn.Module:
    with torch.device("meta"):
        return backbone.build(Denoising())


# The paper's network


@pytest.mark.parametrize(
    ("channels", "with_norm", "without"), [(38, 198_173, 197_603), (52, 369_463, 368_683), (64, 558_403, 557_443)]
)
def test_dncnn_has_the_parameters_of_the_paper(channels: int, with_norm: int, without: int) -> None:
    assert parameters(blueprint(DnCNN(channels=channels, batch_norm=True))) == with_norm
    assert parameters(blueprint(DnCNN(channels=channels))) == without


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("channels", "millions", "printed"), [(38, 201.7, 0.40), (52, 376.7, 0.75), (64, 569.8, 1.14)])
def test_dncnn_has_the_cost_of_the_paper(channels: int, batch_norm: bool, millions: float, printed: float) -> None:
    network = blueprint(DnCNN(channels=channels, batch_norm=batch_norm))
    assert round(multiply_adds(network, TILE) / 1e6, 1) == millions
    assert round(paper_flops(network, TILE) / 1e9, 2) == printed


def test_defaults_are_those_of_the_paper_without_batch_norm() -> None:
    assert DnCNN() == DnCNN(channels=64, layers=17, batch_norm=False)


# Outputs, gradients and initial state


@pytest.mark.parametrize("backbone", SMALL, ids=name)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 9)], ids=str)
def test_the_output_has_the_size_of_the_input(backbone: DnCNN, size: tuple[int, int]) -> None:
    assert seeded(backbone)(torch.rand(2, 3, *size)).shape == (2, 3, *size)


def test_grey_images_are_restored() -> None:
    assert SMALL[0].build(Denoising(channels=1))(torch.rand(1, 1, 8, 8)).shape == (1, 1, 8, 8)


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_channels_last_gives_the_same_output(backbone: DnCNN) -> None:
    network, lq = seeded(backbone).double(), torch.rand(2, 3, 12, 12, dtype=torch.float64)
    with torch.no_grad():
        plain = network(lq)
        last = network.to(memory_format=torch.channels_last)(lq.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, plain)


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_gradients_reach_every_parameter(backbone: DnCNN) -> None:
    network = seeded(backbone).train()
    network(torch.rand(2, 3, 12, 12)).abs().mean().backward()
    lost = [key for key, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]  # type: ignore[union-attr]  # None would be an error as well
    assert lost == []


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_initial_network_is_near_the_identity(batch_norm: bool) -> None:
    lq = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        difference = seeded(DnCNN(batch_norm=batch_norm))(lq) - lq
    assert 0 < difference.abs().mean() < 0.02


def test_the_initial_network_does_not_change_flat_areas() -> None:
    first = next(module for module in seeded(SMALL[0]).modules() if isinstance(module, nn.Conv2d))
    features = first(torch.full((1, 3, 9, 9), 0.7))[..., 1:-1, 1:-1]  # away from the zeros around the image
    assert features.abs().max() < 1e-5


def test_a_few_training_steps_reduce_noise() -> None:
    task, generator = Denoising(sigma=50), torch.Generator().manual_seed(1)
    network = seeded(DnCNN(channels=24, layers=5)).train()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    gt = torch.rand(8, 3, 1, 1, generator=generator).expand(8, 3, 24, 24)
    for _ in range(30):
        loss = (network(torch.stack([task.degrade(tile, generator) for tile in gt])) - gt).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    noisy = torch.stack([task.degrade(tile, generator) for tile in gt])
    assert loss < 0.8 * (noisy - gt).abs().mean()


@pytest.mark.parametrize("backbone", SMALL, ids=name)
def test_reach_equals_the_receptive_field_radius(backbone: DnCNN) -> None:
    network, reach = seeded(backbone).double(), backbone.reach(Denoising())
    lq = torch.rand(1, 3, 1, 2 * reach + 5, dtype=torch.float64).requires_grad_()
    middle = reach + 2
    network(lq)[..., middle].sum().backward()
    assert lq.grad is not None
    visible = lq.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    assert (visible.min(), visible.max()) == (middle - reach, middle + reach)


# The task


def test_noise_has_the_given_sigma_and_is_not_clipped() -> None:
    gt = torch.ones(3, 128, 128)
    noise = Denoising(sigma=25).degrade(gt, torch.Generator().manual_seed(0)) - gt
    assert noise.mean().item() == pytest.approx(0, abs=2e-3)
    assert noise.std().item() == pytest.approx(25 / 255, rel=0.02)
    assert noise.max() > 0


def test_a_range_draws_a_sigma_per_tile() -> None:
    task, generator = Denoising(sigma=(5, 50)), torch.Generator().manual_seed(0)
    gt = torch.zeros(3, 64, 64)
    strengths = [255 * task.degrade(gt, generator).std().item() for _ in range(50)]
    assert 4.5 < min(strengths) < 12
    assert 43 < max(strengths) < 52


@pytest.mark.parametrize("sigma", [25, (5, 50)])
def test_all_randomness_comes_from_the_generator(sigma: Any) -> None:
    task, gt = Denoising(sigma=sigma), torch.rand(3, 8, 8)
    first, again, other = (task.degrade(gt, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert task.random


def test_the_baseline_is_the_input() -> None:
    lq = torch.rand(1, 3, 4, 4)
    assert Denoising().baseline(lq) is lq


@pytest.mark.parametrize("sigma", [-1, 256, (50, 5), (5,), "25", True])
def test_impossible_strengths_are_refused(sigma: Any) -> None:
    with pytest.raises(ValidationError, match="sigma"):
        Denoising(sigma=sigma)


def test_denoising_keeps_the_size() -> None:
    with pytest.raises(ValidationError, match="scale"):
        Denoising(scale=2)  # type: ignore[arg-type]  # that is the claim
    assert DnCNN.scales == (1,)


def test_listing_the_plugin_does_not_import_torch() -> None:
    program = "import sys, lowvision_denoise as d; d.lowvision_tasks(); d.Denoising(); print('torch' in sys.modules)"
    assert check_output([sys.executable, "-c", program], text=True).strip() == "False"
