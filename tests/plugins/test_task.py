"""Claims about the contract of tasks: batches, chains and the baseline of a task that only degrades one image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from lowvision import resize
from lowvision.plugins.contracts import Task
from lowvision.testing import check_task


class Shrink(Task):
    """Keeps every `scale`th pixel and adds noise."""

    def degrade(self, gt: Tensor, generator: Generator) -> Tensor:
        assert not any(side % self.scale for side in gt.shape[1:])
        kept = gt[:, :: self.scale, :: self.scale]
        return kept + torch.randn(kept.shape, generator=generator)

    def baseline(self, lq: Tensor) -> Tensor:
        return lq


def seeded(*seeds: int) -> list[Generator]:
    return [Generator().manual_seed(seed) for seed in seeds]


def test_each_image_of_a_batch_is_degraded_by_its_own_generator() -> None:
    task, gt = Shrink(scale=2), torch.rand(3, 3, 8, 6)
    batch = task.degrade_batch(gt, seeded(1, 2, 3))
    for n, seed in enumerate((1, 2, 3)):
        assert torch.equal(batch[n], task.degrade(gt[n], *seeded(seed)))
    assert torch.equal(batch[1:2], task.degrade_batch(gt[1:2], seeded(2)))


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 12), width=st.integers(1, 12), scale=st.integers(1, 4))
def test_a_link_takes_images_of_any_size(height: int, width: int, scale: int) -> None:
    image = torch.rand(3, height, width)
    linked = Shrink(scale=scale).link(image, *seeded(0), (5, 5))
    if min(height, width) < scale:
        assert linked is image
    else:
        assert linked.shape == (3, height // scale, width // scale)


def test_links_of_a_batch_may_differ_in_size() -> None:
    task, images = Shrink(scale=2), [torch.rand(3, 9, 8), torch.rand(3, 4, 5)]
    linked = task.link_batch(images, seeded(1, 2), (4, 4))
    assert [image.shape for image in linked] == [(3, 4, 4), (3, 2, 2)]
    assert torch.equal(linked[1], task.link(images[1], *seeded(2), (4, 4)))


def test_one_generator_per_image_is_required() -> None:
    with pytest.raises(ValueError, match="zip"):
        Shrink().degrade_batch(torch.rand(2, 3, 4, 4), seeded(1))


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
