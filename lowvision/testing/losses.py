"""Check a loss against its contract."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lowvision.plugins.contracts import Task
from lowvision.plugins.losses import Critic, Loss
from lowvision.testing import options
from lowvision.testing.subject import PlainTask, distance, no_module, one_line

SIZES = ((32, 48), (33, 47))
"""Height and width of images."""
BATCH = 3
CLOSE = 1e-4
"""Tolerance relative to the value; losses compute in float32."""


def check_loss(loss: Loss) -> None:
    """Check a loss against its contract, for RGB and grey images.

    Checks: serialization of options; a finite scalar with a finite gradient for the restored images, also if they equal
    gt or exceed [0,1]; gt and restored are not changed; the mean over images; reproducibility; constant parameters; the
    objective of a `Critic`, whose gradient reaches all its parameters. Raises AssertionError at the first failure.
    """
    options.check_options(loss)
    for task in (PlainTask(), PlainTask(channels=1)):
        module = _built(loss, task)
        for size in SIZES:
            _check_value(loss, module, *_images(task, size))
        restored, gt = _images(task, SIZES[0])
        _check_value(loss, module, gt.clone(), gt)
        _check_mean(loss, module, restored, gt)
        _check_training(loss, module, restored, gt)


def _built(loss: Loss, task: Task) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = loss.build(task)
    if not isinstance(module, nn.Module):
        raise _failure(loss, f"build returns {no_module(module)}")
    return module.eval().requires_grad_(False)


def _images(task: Task, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return restored, which exceeds [0,1] here and there, and gt."""
    generator = torch.Generator().manual_seed(1)
    gt = torch.rand((BATCH, task.channels, *size), generator=generator)
    return gt + 0.2 * torch.randn(gt.shape, generator=generator), gt


def _check_value(loss: Loss, module: nn.Module, restored: Tensor, gt: Tensor) -> None:
    images, expected = restored.clone().requires_grad_(), gt.clone()
    value = _called(loss, lambda: module(images, expected), images)
    if value.shape != ():
        raise _failure(loss, f"its value has the shape {tuple(value.shape)}; return a scalar, the mean over images")
    if not value.requires_grad:
        raise _failure(loss, "its value has no gradient for the restored images; no detach() or no_grad() around them")
    value.backward()
    gradient = images.grad
    if gradient is None or not (value.isfinite() and gradient.isfinite().all()):
        same = " of images that equal gt" if torch.equal(restored, gt) else ""
        raise _failure(loss, f"its value or gradient{same} is not finite; e.g. add a small number below a root")
    if not (torch.equal(images, restored) and torch.equal(expected, gt)):
        raise _failure(loss, "it changes its arguments; work on copies")


def _check_mean(loss: Loss, module: nn.Module, restored: Tensor, gt: Tensor) -> None:
    together, again = (_called(loss, lambda: module(restored, gt), restored) for _ in range(2))
    if not torch.equal(together, again):
        raise _failure(loss, "in eval() two calls give two values; draw no random numbers, and keep no state")
    pairs = zip(restored.split(1), gt.split(1), strict=True)
    alone = torch.stack([_called(loss, lambda a=a, b=b: module(a, b), a) for a, b in pairs])  # type: ignore[misc]  # bound now
    if distance(together, alone.mean()) > CLOSE:
        raise _failure(
            loss,
            f"of {BATCH} images it is {together:.4g}, the mean of each alone {alone.mean():.4g}; return the mean over "
            "images, on which accumulated gradients rely",
        )


def _check_training(loss: Loss, module: nn.Module, restored: Tensor, gt: Tensor) -> None:
    names = [name for name, _ in module.named_parameters()]
    if not isinstance(module, Critic):
        return
    if not names:
        raise _failure(loss, "is a Critic without parameters; do not derive its module from Critic")
    module.train().requires_grad_(True)
    value = _called(loss, lambda: module.objective(restored, gt), restored)
    if value.shape != ():
        raise _failure(loss, f"objective has the shape {tuple(value.shape)}; return a scalar")
    value.backward()
    for name, parameter in module.named_parameters():
        if parameter.grad is None or not parameter.grad.isfinite().all():
            raise _failure(loss, f"no finite gradient of objective reaches {name}; use it, or make it a buffer")


def _called(loss: Loss, work: Callable[[], Tensor], images: Tensor) -> Tensor:
    try:
        value = work()
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise _failure(
            loss, f"images of {tuple(images.shape)} raise {type(error).__name__}: {one_line(error)}"
        ) from error
    if not isinstance(value, Tensor):
        raise _failure(loss, f"it returns a {type(value).__name__}; return a scalar tensor")
    return value


def _failure(loss: Loss, message: str) -> AssertionError:
    return AssertionError(f"{options.name_of(loss)}: {message}")
