"""A task without a baseline of its own is compared with bicubic interpolation, and at scale 1 with lq itself."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from lowvision import Task, resize
from lowvision.testing import check_task


class Striding(Task):
    """Undo that rows and columns are left out."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        return gt[..., :: self.scale, :: self.scale].clone()


def test_the_default_baseline_is_bicubic() -> None:
    lq = torch.rand(2, 3, 5, 7)
    assert torch.equal(Striding(scale=3).baseline(lq), resize(lq, (15, 21)))


def test_at_scale_1_the_default_baseline_is_lq_itself() -> None:
    lq = torch.rand(2, 3, 5, 7)
    assert Striding().baseline(lq) is lq


def test_a_task_needs_no_baseline() -> None:
    check_task(Striding())
