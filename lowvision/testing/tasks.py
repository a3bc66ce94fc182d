"""Check a task against its contract."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from lowvision.plugins.contracts import Task
from lowvision.testing import options
from lowvision.testing.subject import one_line, short

SCALES = range(1, 9)
"""Scales to try if the task supports them."""
SIZES = ((24, 36), (5, 7), (1, 1))
"""Height and width of lq."""
BATCH_TOLERANCE = 1.1 / 255
"""Largest difference of an image in two batches: its rounding to 8 bit may differ."""
LINK_SIZE = (9, 8)
"""Size at which a chain ends, for links."""
PLAUSIBLE = (-0.5, 1.5)
"""Range of most values of a baseline; noise and ringing may exceed [0,1]."""


def check_task(task: Task) -> None:
    """Check a task against its contract, for every supported scale up to 8, RGB and grey.

    Checks: serialization of options; sizes; gt is not changed; equal generators give equal lq, different generators
    different lq if and only if `random`, and no other source of randomness is used; `degrade_batch` and `link_batch`
    treat each image by itself; `link` takes any size; size and range of the baseline, image by image. Raises
    AssertionError at the first failure.
    """
    options.check_options(task)
    for form in _forms(task):
        for size in SIZES:
            gt = _photograph(form.channels, size[0] * form.scale, size[1] * form.scale)
            _check_size(form, gt, size)
        gt = _photograph(form.channels, 24 * form.scale, 24 * form.scale)
        _check_randomness(form, gt)
        _check_batch(form, torch.stack([gt, gt.flip(-1) / 2]))
        _check_link(form, gt[:, :-1, :-5])
        _check_baseline(form, torch.stack([_degraded(form, gt, 0), _degraded(form, gt.flip(-1) / 2, 1)]))


def _forms(task: Task) -> Iterator[Task]:
    """Return the task at every scale and number of colours that its options allow."""
    forms = [task]
    for scale in SCALES:
        for channels in (3, 1):
            try:
                forms.append(task.replace(scale=scale, channels=channels))
            except ValidationError:
                continue
    yield from dict.fromkeys(forms)


def _photograph(channels: int, height: int, width: int) -> Tensor:
    """Return an image (channels,height,width) in [0,1]: slow waves and a little grain."""
    rows, columns = torch.arange(height)[:, None] / 9, torch.arange(width) / 7
    waves = torch.stack([(rows + colour).sin() * (columns - colour).cos() for colour in range(channels)])
    grain = torch.rand(waves.shape, generator=torch.Generator().manual_seed(0))
    return (0.5 + 0.4 * waves + 0.1 * (grain - 0.5)).clamp(0, 1)


def _degraded(task: Task, gt: Tensor, seed: int) -> Tensor:
    try:
        return task.degrade(gt, torch.Generator().manual_seed(seed))
    except Exception as error:  # a plugin's task may raise anything
        raise _failure(
            task, f"degrade raises {type(error).__name__} for gt of {tuple(gt.shape)}: {one_line(error)}"
        ) from error


def _failure(task: Task, message: str) -> AssertionError:
    return AssertionError(f"{options.name_of(task)} at scale {task.scale}, {task.channels} colours: {message}")


def _check_size(task: Task, gt: Tensor, size: tuple[int, int]) -> None:
    kept = gt.clone()
    lq = _degraded(task, gt, 0)
    if not torch.equal(gt, kept):
        raise _failure(task, "degrade changes gt; it is what the network is trained towards: work on a copy")
    expected = task.channels, *size
    if not isinstance(lq, Tensor) or tuple(lq.shape) != expected:
        actual = tuple(lq.shape) if isinstance(lq, Tensor) else type(lq).__name__
        raise _failure(
            task,
            f"degrade makes {actual} of gt {tuple(gt.shape)} instead of {expected}; lq has gt's colours and its sides "
            "divided by `scale`: narrow `scale` or `channels` by a Literal to what the task can do",
        )
    if lq.dtype != gt.dtype:
        raise _failure(task, f"degrade makes {short(lq.dtype)} of {short(gt.dtype)}; keep gt's dtype")
    if not lq.isfinite().all():
        raise _failure(task, "lq is not finite")


def _check_randomness(task: Task, gt: Tensor) -> None:
    with _global_sources() as untouched:
        first, again, other = (_degraded(task, gt, seed) for seed in (0, 0, 1))
        alone = untouched()
    if not torch.equal(first, again) or not alone:
        raise _failure(
            task,
            "degrade draws from a generator of its own or a global one; pass generator=generator to every torch.rand, "
            "torch.randn and torch.randint, and seed other libraries from torch.randint(..., generator=generator)",
        )
    if task.random and torch.equal(first, other):
        raise _failure(
            task,
            "two generators give one lq, but `random` is True; draw from the generator, or leave `random` False: a "
            "fixed degradation is applied once and cached",
        )
    if not task.random and not torch.equal(first, other):
        raise _failure(
            task,
            "two generators give two lq, but `random` is False: one draw would be cached for good; set "
            "random: ClassVar[bool] = True",
        )
    if task.random:
        generator = torch.Generator().manual_seed(0)
        if torch.equal(task.degrade(gt, generator), task.degrade(gt, generator)):
            raise _failure(
                task, "a second draw from one generator repeats the first; draw from it, do not read its seed"
            )


def _check_batch(task: Task, gt: Tensor) -> None:
    """gt: (2,C,H,W)"""
    together, alone = (
        task.degrade_batch(images, [torch.Generator().manual_seed(seed) for seed in seeds])
        for images, seeds in ((gt, (0, 1)), (gt[1:], (1,)))
    )
    if together.shape[0] != 2 or not torch.allclose(together[1:], alone, atol=BATCH_TOLERANCE):
        raise _failure(
            task,
            "degrade_batch gives an image another result in another batch; draw for each image from its own generator",
        )


def _check_link(task: Task, image: Tensor) -> None:
    """image: (C,H,W), of a size that `scale` need not divide"""
    kept = image.clone()
    try:
        alone, again = (task.link(image, torch.Generator().manual_seed(0), LINK_SIZE) for _ in range(2))
        images = [image[:, :, 1:], image]
        together = task.link_batch(images, [torch.Generator().manual_seed(seed) for seed in (1, 0)], LINK_SIZE)
        single = task.link_batch(images[1:], [torch.Generator().manual_seed(0)], LINK_SIZE)
    except Exception as error:  # a plugin's task may raise anything
        raise _failure(
            task, f"as a link of a chain, raises {type(error).__name__} for {tuple(image.shape)}: {one_line(error)}"
        ) from error
    if not torch.equal(image, kept):
        raise _failure(task, "link changes its argument; work on a copy")
    for result in (alone, *together):
        if result.dim() != 3 or result.shape[0] != task.channels or result.dtype != image.dtype:
            raise _failure(
                task,
                f"as a link of a chain, makes {tuple(result.shape)} in {short(result.dtype)} of {tuple(image.shape)}; "
                "keep colours and dtype",
            )
    if not torch.equal(alone, again):
        raise _failure(task, "two links from equal generators differ; draw from the generator only")
    same = len(together) == 2 and together[1].shape == single[0].shape
    if not same or not torch.allclose(together[1], single[0], atol=BATCH_TOLERANCE):
        raise _failure(
            task,
            "link_batch gives an image another result in another batch; draw for each image from its own generator",
        )


@contextmanager
def _global_sources() -> Iterator[Callable[[], bool]]:
    """Advance the global generators, yield a function that returns whether they are unchanged, and restore them."""
    of_torch, of_numpy, of_python = torch.get_rng_state(), np.random.get_state(), random.getstate()

    def states() -> tuple[object, ...]:
        return bytes(torch.get_rng_state().tolist()), pickle.dumps(np.random.get_state()), random.getstate()

    try:
        torch.rand(()), np.random.rand(), random.random()  # so that setting an equal seed changes them
        moved = states()
        yield lambda: states() == moved
    finally:
        torch.set_rng_state(of_torch)
        np.random.set_state(of_numpy)
        random.setstate(of_python)


def _check_baseline(task: Task, lq: Tensor) -> None:
    """lq: (2,C,h,w)"""
    kept = lq.clone()
    restored = task.baseline(lq)
    expected = (*lq.shape[:2], *(side * task.scale for side in lq.shape[2:]))
    if tuple(restored.shape) != expected:
        raise _failure(
            task,
            f"baseline makes {tuple(restored.shape)} of {tuple(lq.shape)} instead of {expected}: enlarge it by `scale`",
        )
    if not torch.equal(lq, kept):
        raise _failure(task, "baseline changes lq; work on a copy")
    if restored.dtype != lq.dtype:
        raise _failure(task, f"baseline makes {short(restored.dtype)} of {short(lq.dtype)}; keep the dtype")
    low, high = restored.flatten().quantile(torch.tensor([0.05, 0.95])).tolist()
    if not (PLAUSIBLE[0] <= low and high <= PLAUSIBLE[1]):
        raise _failure(
            task, f"most of the baseline lies between {low:.2g} and {high:.2g}; images are in [0,1], not in 0..255"
        )
    if not torch.allclose(torch.cat([task.baseline(image[None]) for image in lq]), restored, atol=1e-5):
        raise _failure(task, "the baseline of an image depends on the others in its batch; take them one by one")
