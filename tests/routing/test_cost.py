"""Claims about the count of a network's multiply-adds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lowvision.routing.cost import (
    largest_tensor,
    may_mask,
    multiply_adds,
    paper_flops,
    parameters,
    theoretical_multiply_adds,
    weightless,
)

SHAPE = (1, 3, 8, 10)


class Twice(nn.Module):
    """Runs one convolution twice."""

    def __init__(self, convolution: nn.Module):
        super().__init__()
        self.first = convolution
        self.second = convolution

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class Attention(nn.Module):
    """Matrix products by the name `@`."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)  # (1, 80, 3)
        return tokens @ tokens.transpose(1, 2)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv2d(3, 6, 3, padding=1), 8 * 10 * 3 * 6 * 9),
        (nn.Conv2d(3, 6, 3, padding=1, stride=2), 4 * 5 * 3 * 6 * 9),
        (nn.Conv2d(3, 6, 3, padding=1, groups=3), 8 * 10 * 6 * 9),
        (nn.ConvTranspose2d(3, 6, 4, stride=4), 8 * 10 * 3 * 6 * 16),
        (nn.Sequential(nn.Flatten(), nn.Linear(240, 7)), 240 * 7),
        (Attention(), 80 * 3 * 80),
        (nn.Upsample(scale_factor=4, mode="bicubic"), 0),
        (nn.Sequential(nn.ReLU(), nn.AvgPool2d(2), nn.PixelShuffle(1)), 0),
        (Twice(nn.Conv2d(3, 3, 1)), 2 * 8 * 10 * 3 * 3),
    ],
    ids=["convolution", "stride", "groups", "transposed", "linear", "matmul", "interpolation", "rest", "shared"],
)
def test_multiply_adds_are_exact(module: nn.Module, expected: int) -> None:
    assert multiply_adds(module, SHAPE) == expected


def test_multiply_adds_grow_with_the_batch() -> None:
    module = nn.Conv2d(3, 6, 3)
    assert multiply_adds(module, (5, 3, 8, 10)) == 5 * multiply_adds(module, (1, 3, 8, 10))


def test_the_papers_count_puts_transposed_convolutions_on_the_output_grid() -> None:
    module = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ConvTranspose2d(6, 3, 4, stride=4))
    convolution, transposed = 8 * 10 * 3 * 6 * 9, 8 * 10 * 6 * 3 * 16
    assert multiply_adds(module, SHAPE) == convolution + transposed
    assert paper_flops(module, SHAPE) == 2 * (convolution + 16 * transposed)


def test_counting_does_not_modify_the_module() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout())
    before = {name: (value.data_ptr(), value.clone()) for name, value in module.state_dict().items()}
    multiply_adds(module, SHAPE)
    assert module.training
    for name, value in module.state_dict().items():
        address, content = before[name]
        assert value.data_ptr() == address
        assert torch.equal(value, content)


def test_a_module_in_training_mode_is_counted_in_eval_mode() -> None:
    # In train() BatchNorm refuses a single value per channel.
    assert multiply_adds(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Conv2d(3, 5, 1)), SHAPE) == 15


def test_a_module_on_meta_or_in_half_precision_costs_the_same() -> None:
    with torch.device("meta"):
        blueprint = nn.Conv2d(3, 6, 3)
    module = nn.Conv2d(3, 6, 3)
    assert multiply_adds(blueprint, SHAPE) == multiply_adds(module, SHAPE) == multiply_adds(module.half(), SHAPE)


def test_the_meta_copy_holds_no_data_and_keeps_shared_parameters_shared() -> None:
    copy = weightless(Twice(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))))
    assert isinstance(copy, Twice)
    assert copy.first is copy.second
    assert {tensor.device.type for tensor in copy.state_dict().values()} == {"meta"}
    assert not copy.training


def test_parameter_counts_exclude_buffers() -> None:
    assert parameters(nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6))) == 3 * 6 * 9 + 6 + 2 * 6


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_shared_parameters_count_once(device: str) -> None:
    with torch.device(device):
        module = nn.ModuleList([Twice(nn.Conv2d(3, 3, 1)), nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False)])
        module[2].weight = nn.Parameter(module[1].weight[:2])  # type: ignore[index, union-attr]  # a Linear's weight
    assert parameters(module) == 3 * 3 + 3 + 4 * 4


def test_the_largest_intermediate_tensor_is_found_at_any_depth():
    wide = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 3, 3, padding=1))
    assert largest_tensor(wide, (2, 3, 10, 20)) == 2 * 32 * 10 * 20
    assert largest_tensor(nn.Upsample(scale_factor=4), (1, 3, 8, 8)) == 3 * 32 * 32


class PeriodicMask(nn.Module):
    """Keeps one weight of every `period`."""

    def __init__(self, weight: Tensor, period: int):
        super().__init__()
        self.register_buffer("mask", (torch.arange(weight.numel()) % period == 0).reshape(weight.shape))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.get_buffer("mask")


def masked(layer: nn.Module, period: int) -> nn.Module:
    parametrize.register_parametrization(layer, "weight", PeriodicMask(layer.weight, period))  # type: ignore[arg-type]  # it has one
    return layer


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (masked(nn.Conv2d(3, 6, 3, padding=1), 2), 8 * 10 * 3 * 6 * 9 // 2),
        (masked(nn.ConvTranspose2d(3, 6, 4, stride=4), 3), 8 * 10 * 3 * 6 * 16 // 3),
        (nn.Sequential(nn.Flatten(), masked(nn.Linear(240, 7), 4)), 240 * 7 // 4),
        (Twice(masked(nn.Conv2d(3, 3, 1), 3)), 2 * 8 * 10 * 3),
        (nn.Sequential(nn.Conv2d(3, 6, 1), masked(nn.Conv2d(6, 2, 1), 4)), 8 * 10 * (3 * 6 + 6 * 2 // 4)),
        (Attention(), 80 * 3 * 80),
    ],
    ids=["convolution", "transposed", "linear", "shared", "dense and masked", "matmul"],
)
def test_the_theoretical_cost_excludes_masked_weights(module: nn.Module, expected: int) -> None:
    assert theoretical_multiply_adds(module, SHAPE) == expected


def test_a_mask_does_not_change_the_exact_cost_and_zero_initial_weights_are_counted() -> None:
    dense, sparse = nn.Conv2d(3, 6, 3, padding=1), masked(nn.Conv2d(3, 6, 3, padding=1), 2)
    assert multiply_adds(sparse, SHAPE) == multiply_adds(dense, SHAPE)
    nn.init.zeros_(dense.weight)
    assert theoretical_multiply_adds(dense, SHAPE) == multiply_adds(dense, SHAPE)
    assert (may_mask(dense), may_mask(sparse), may_mask(weightless(sparse))) == (False, True, True)
