"""The three losses are the paper's, for any number of branches."""

from __future__ import annotations

import pytest
import torch

from lowvision.training.losses import average_loss, average_pull, class_loss

BRANCHES = [1, 2, 3, 5]


def equal_shares(branches: int) -> torch.Tensor:
    return torch.full((branches,), 1 / branches)


@pytest.mark.parametrize("m", BRANCHES)
def test_the_class_loss_is_0_when_certain_and_m_minus_1_when_uniform(m):
    torch.testing.assert_close(class_loss(torch.eye(m)), torch.tensor(0.0))
    torch.testing.assert_close(class_loss(torch.full((7, m), 1 / m)), torch.tensor(float(m - 1)))


@pytest.mark.parametrize("m", [2, 3, 5])
def test_the_average_loss_is_0_when_balanced_and_1_when_all_tiles_go_to_one_branch(m):
    balanced = torch.full((m,), 4.0)
    collapsed = torch.zeros(m)
    collapsed[m - 1] = 4.0 * m
    assert average_loss(balanced, 4 * m, equal_shares(m)).item() == pytest.approx(0, abs=1e-6)
    assert average_loss(collapsed, 4 * m, equal_shares(m)).item() == pytest.approx(1)


def test_the_average_loss_of_one_branch_is_zero():
    assert average_loss(torch.tensor([4.0]), 4, torch.tensor([1.0])).item() == 0
    assert average_pull(torch.tensor([4.0]), 4, torch.tensor([1.0])).tolist() == [0]


def test_target_shares_can_be_set():
    shares = torch.tensor([0.5, 0.3, 0.2])
    assert average_loss(10 * shares, 10, shares).item() == pytest.approx(0, abs=1e-6)
    assert average_loss(torch.tensor([0.0, 0.0, 10.0]), 10, shares).item() == pytest.approx(1)


@pytest.mark.parametrize("m", BRANCHES)
def test_the_losses_equal_the_formulas_written_as_loops(m):
    torch.manual_seed(m)
    p = torch.rand(9, m, dtype=torch.float64).softmax(dim=1)
    pairs = sum(m - 1 - sum(abs(float(row[i]) - float(row[j])) for i in range(m) for j in range(i + 1, m)) for row in p)
    assert class_loss(p).item() == pytest.approx(pairs / 9)
    if m > 1:
        loads = sum(abs(sum(float(p[n, i]) for n in range(9)) - 9 / m) for i in range(m))
        expected = loads / (2 * (m - 1) * 9 / m)
        assert average_loss(p.sum(dim=0), 9, equal_shares(m).double()).item() == pytest.approx(expected)


def test_average_pull_equals_the_gradient_of_the_average_loss():
    sums = torch.tensor([1.0, 6.0, 2.0], requires_grad=True)
    average_loss(sums, 9, equal_shares(3)).backward()
    torch.testing.assert_close(sums.grad, average_pull(sums.detach(), 9, equal_shares(3)))
