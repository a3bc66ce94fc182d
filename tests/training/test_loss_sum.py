"""Claims about the weighted sum of losses."""

from __future__ import annotations

import pytest
import torch
from judge import Judge
from torch import nn

from lowvision.errors import TrainingError
from lowvision.training.loss_sum import LossSum, Term, l1, summed

RESTORED, GT = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)


def test_the_sum_weights_each_loss_and_names_it() -> None:
    losses = LossSum([Term("l1", 1.0, nn.L1Loss(), {}), Term("l2", 0.5, nn.MSELoss(), {})])
    by_name = losses.by_name(RESTORED, GT)
    assert list(by_name) == ["image/l1", "image/l2"]
    torch.testing.assert_close(by_name["image/l2"], 0.5 * (RESTORED - GT).square().mean())
    torch.testing.assert_close(losses(RESTORED, GT), sum(by_name.values(), torch.zeros(())))


def test_a_single_loss_is_called_image() -> None:
    assert list(l1().by_name(RESTORED, GT)) == ["image"]
    torch.testing.assert_close(l1()(RESTORED, GT), (RESTORED - GT).abs().mean())


def test_the_losses_of_half_precision_are_computed_in_float32() -> None:
    restored = RESTORED.bfloat16()
    assert l1()(restored, GT).dtype == torch.float32
    torch.testing.assert_close(l1()(restored, GT), (restored.float() - GT).abs().mean())


def test_parameters_of_losses_are_constant_and_only_critics_are_in_training_mode() -> None:
    fixed, critic = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten()), Judge()
    losses = LossSum([Term("fixed", 1.0, fixed, {}), Term("judge", 1.0, critic, {})])
    assert not any(parameter.requires_grad for module in (fixed, critic) for parameter in module.parameters())
    assert (fixed.training, critic.training) == (False, True)
    assert [term.name for term in losses.critics()] == ["judge"]


def test_critics_see_the_images_of_training_without_their_gradients() -> None:
    losses = LossSum([Term("judge", 1.0, Judge(), {})])
    restored = RESTORED.clone().requires_grad_()
    losses(RESTORED, GT)  # a validation
    assert not losses.seen
    losses(restored, GT)
    ((seen, gt),) = losses.seen
    assert torch.equal(seen, RESTORED)
    assert torch.equal(gt, GT)
    assert not seen.requires_grad


def test_without_critics_no_images_are_kept() -> None:
    losses = l1()
    losses(RESTORED.clone().requires_grad_(), GT)
    assert not losses.seen


class Number(nn.Module):
    """A loss that returns a float."""

    def forward(self, restored: torch.Tensor, gt: torch.Tensor) -> float:
        return float((restored - gt).abs().mean())


@pytest.mark.parametrize(
    ("module", "returned"),
    [(nn.L1Loss(reduction="none"), r"a tensor of shape \(2, 3, 4, 4\)"), (Number(), "a float")],
)
def test_a_loss_that_is_no_scalar_is_named_with_its_shape(module: nn.Module, returned: str) -> None:
    losses = LossSum([Term("l1", 1.0, nn.L1Loss(), {}), Term("map", 0.5, module, {})])
    with pytest.raises(TrainingError, match=f"loss 'map': returns {returned}; its plugin must return a scalar tensor"):
        losses.by_name(RESTORED, GT)


def test_an_objective_whose_losses_have_different_shapes_is_reported() -> None:
    with pytest.raises(TrainingError, match=r"loss 'pull': returns a tensor of shape \(2,\)"):
        summed({"image": torch.zeros(()), "pull": torch.zeros(2)})
