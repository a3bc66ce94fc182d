"""Check an adaptive network against its contract."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision.plugins.contracts import Adaptive
from lowvision.routing.cost import multiply_adds
from lowvision.testing.networks import CLOSE
from lowvision.testing.subject import Subject, distance

SHARE = 0.6


def check_adaptive(subject: Subject) -> None:
    """Check that `adapt` equals `forward` as trained, treats tiles independently, and keeps settings in buffers."""
    network, images = subject.stirred(), subject.images(dtype=torch.float64)
    expected = subject.run(network, images)
    if distance(_adapted(subject, network, images)[0], expected) > CLOSE:
        raise subject.fail(
            "as trained, adapt returns another image than forward; they must be equal until set_budget is called"
        )
    assert isinstance(network, Adaptive)
    network.set_budget(SHARE, images, subject.images(expected.shape, torch.float64))
    if not torch.equal(subject.run(network, images), expected):
        raise subject.fail("set_budget changes forward, the static graph of runtimes; change only what adapt reads")
    restored, spent = _adapted(subject, network, images)
    _check_spent(subject, network, images, spent)
    alone = [_adapted(subject, network, image[None]) for image in images]
    if distance(torch.cat([image for image, _ in alone]), restored) > CLOSE:
        raise subject.fail(
            "adapt: the result of a tile depends on the others in its batch; process tiles independently"
        )
    _check_kept(subject, network, images, restored, spent)


def _adapted(subject: Subject, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    assert isinstance(network, Adaptive)
    with torch.no_grad():
        restored, spent = network.adapt(images)
    if spent.shape != (len(images),) or spent.dtype != torch.int64:
        raise subject.fail(f"adapt returns the cost as {tuple(spent.shape)} {spent.dtype}; return one int64 per tile")
    return restored, spent


def _check_spent(subject: Subject, network: nn.Module, images: Tensor, spent: Tensor) -> None:
    whole = multiply_adds(network, (1, *images.shape[1:]))
    if (spent < 0).any() or spent.max() > whole:
        raise subject.fail(
            f"adapt returns a cost of {spent.tolist()}, but forward costs {whole}; count the executed multiply-adds"
        )


def _check_kept(subject: Subject, network: nn.Module, images: Tensor, restored: Tensor, spent: Tensor) -> None:
    state = network.state_dict()
    infinite = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if infinite:
        raise subject.fail(
            f"set_budget sets {infinite[0]} to a value that is not finite, which no header can hold; use a bound"
        )
    other = subject.stirred()
    other.load_state_dict(state)
    again, as_much = _adapted(subject, other, images)
    if not torch.equal(as_much, spent) or distance(again, restored) > CLOSE:
        raise subject.fail(
            "a network with the same state_dict() adapts differently; keep everything that set_budget changes in "
            "buffers, so that a weights file can hold it"
        )
