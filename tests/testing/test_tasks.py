"""Claims about check_task: it accepts a correct task, and reports each kind of error with a way out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from lowvision import Task
from lowvision.testing import PlainTask, check_task


class FaultyTask(Task):
    """Keeps every scale-th pixel, with the given fault."""

    fault: str = ""
    """In which."""

    def degrade(self, gt: Tensor, generator: Generator) -> Any:
        lq = gt[..., :: self.scale, :: self.scale].clone()
        match self.fault:
            case "in place":
                gt.mul_(0.5)
            case "full size":
                return gt.clone()
            case "a pair":
                return lq, lq
            case "double":
                return lq.double()
            case "not a number":
                return lq / 0 * 0
            case "crash":
                raise KeyError("quality")
            case "torch's own":
                return lq + 0.01 * torch.randn(lq.shape)
            case "numpy's own":
                return lq + 0.01 * np.random.rand()
            case "python's own":
                return lq + 0.01 * random.random()
            case "seeds all":
                torch.manual_seed(0)
            case "drawn":
                return lq + 0.01 * torch.randn(lq.shape, generator=generator)
        return lq

    def link(self, image: Tensor, generator: Generator, size: tuple[int, int]) -> Tensor:
        match self.fault:
            case "link of even sizes":
                return image.view(image.shape[0], image.shape[1] // 2, 2, -1)[:, :, 0]
            case "link in grey":
                return image[:1]
            case "link in place":
                return image.mul_(0.5)
            case "link at random":
                return image + 0.01 * torch.randn(())
        return super().link(image, generator, size)

    def link_batch(
        self, images: Sequence[Tensor], generators: Sequence[Generator], size: tuple[int, int]
    ) -> list[Tensor]:
        if self.fault == "links share":
            return [self.link(image, generators[0], size) * 0.9 ** len(images) for image in images]
        return super().link_batch(images, generators, size)

    def baseline(self, lq: Tensor) -> Tensor:
        match self.fault:
            case "lq itself":
                return lq
            case "bright":
                return 255 * PlainTask(scale=self.scale).baseline(lq)
            case "of the batch":
                return PlainTask(scale=self.scale).baseline(lq) + lq.mean()
            case "lq changed":
                return PlainTask(scale=self.scale).baseline(lq.clamp_(0.4, 0.6))
            case "baseline in double":
                return PlainTask(scale=self.scale).baseline(lq.double())
        return PlainTask(scale=self.scale).baseline(lq)


class FaultyRandomTask(FaultyTask):
    """A task declared random, with the given fault."""

    random: ClassVar[bool] = True
    scale: Literal[1, 2] = 2
    """Size of gt divided by size of lq."""

    def degrade(self, gt: Tensor, generator: Generator) -> Any:
        if self.fault == "its seed":
            generator = Generator().manual_seed(generator.initial_seed())
        drawn = 0 if self.fault == "nothing" else torch.randn((), generator=generator)
        return super().degrade(gt, generator) + 0.01 * drawn


WRONG: dict[str, tuple[Task, str]] = {
    "in place": (FaultyTask(fault="in place"), "degrade changes gt"),
    "full size": (FaultyTask(fault="full size"), r"at scale 2, .* instead of \(3, 24, 36\); .* narrow `scale`"),
    "a pair": (FaultyTask(fault="a pair"), "makes tuple of gt"),
    "double": (FaultyTask(fault="double"), "makes float64 of float32; keep gt's dtype"),
    "not a number": (FaultyTask(fault="not a number"), "lq is not finite"),
    "crash": (FaultyTask(fault="crash"), r"degrade raises KeyError for gt of \(3, 24, 36\): 'quality'"),
    "torch's own": (FaultyTask(fault="torch's own"), "pass generator=generator"),
    "numpy's own": (FaultyTask(fault="numpy's own"), "seed other libraries from"),
    "python's own": (FaultyTask(fault="python's own"), "seed other libraries from"),
    "seeds all": (FaultyTask(fault="seeds all"), "a generator of its own or a global one"),
    "draws without `random`": (FaultyTask(fault="drawn"), r"set random: ClassVar\[bool\] = True"),
    "declared random, nothing drawn": (
        FaultyRandomTask(fault="nothing"),
        "but `random` is True; draw from the generator, or leave",
    ),
    "the generator's seed": (FaultyRandomTask(fault="its seed"), "a second draw from one generator repeats the first"),
    "a link of even sizes": (FaultyTask(fault="link of even sizes"), "as a link of a chain, raises RuntimeError for"),
    "a link in grey": (FaultyTask(fault="link in grey"), "keep colours and dtype"),
    "a link that changes its argument": (FaultyTask(fault="link in place"), "link changes its argument"),
    "a random link": (FaultyTask(fault="link at random"), "two links from equal generators differ"),
    "links of the batch": (FaultyTask(fault="links share"), "link_batch gives an image another result"),
    "a baseline of lq's size": (FaultyTask(fault="lq itself"), r"at scale 2, .* enlarge it by `scale`"),
    "a baseline in 0..255": (FaultyTask(fault="bright"), r"images are in \[0,1\], not in 0..255"),
    "a baseline of the batch": (FaultyTask(fault="of the batch"), "take them one by one"),
    "a baseline that changes lq": (FaultyTask(fault="lq changed"), "baseline changes lq"),
    "a baseline in float64": (FaultyTask(fault="baseline in double"), "baseline makes float64 of float32"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_invalid_task_is_reported_with_a_remedy(wrong: str) -> None:
    task, message = WRONG[wrong]
    with pytest.raises(AssertionError, match=message):
        check_task(task)


@pytest.mark.parametrize("right", [FaultyTask(), FaultyRandomTask(), PlainTask()], ids=repr)
def test_a_valid_task_passes(right: Task) -> None:
    check_task(right)
