"""Holds a network that decides by itself against its contract."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lowvision.plugins.contracts import Adaptive
from lowvision.routing.cost import multiply_adds
from lowvision.testing.networks import CLOSE
from lowvision.testing.subject import Subject, distance

SHARE = 0.6


def check_adaptive(subject: Subject) -> None:
    """As trained it gives what forward gives; each tile is on its own; what is set changes no forward, and is kept."""
    network, images = subject.stirred(), subject.images(dtype=torch.float64)
    wanted = subject.run(network, images)
    if distance(_adapted(subject, network, images)[0], wanted) > CLOSE:
        raise subject.fail("as trained, adapt gives another image than forward; let it, until spend is called")
    assert isinstance(network, Adaptive)
    network.set_budget(SHARE, images, subject.images(wanted.shape, torch.float64))
    if not torch.equal(subject.run(network, images), wanted):
        raise subject.fail("spend changes forward, the static graph that runtimes have; let it set what adapt reads")
    restored, spent = _adapted(subject, network, images)
    _check_spent(subject, network, images, spent)
    alone = [_adapted(subject, network, image[None]) for image in images]
    if distance(torch.cat([image for image, _ in alone]), restored) > CLOSE:
        raise subject.fail("what adapt makes of a tile depends on the others in its batch; let each be on its own")
    _check_kept(subject, network, images, restored, spent)


def _adapted(subject: Subject, network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    assert isinstance(network, Adaptive)
    with torch.no_grad():
        restored, spent = network.adapt(images)
    if spent.shape != (len(images),) or spent.dtype != torch.int64:
        raise subject.fail(
            f"adapt tells what was spent as {tuple(spent.shape)} {spent.dtype}; return one int64 for each tile"
        )
    return restored, spent


def _check_spent(subject: Subject, network: nn.Module, images: Tensor, spent: Tensor) -> None:
    whole = multiply_adds(network, (1, *images.shape[1:]))
    if (spent < 0).any() or spent.max() > whole:
        raise subject.fail(f"adapt spends {spent.tolist()} where forward costs {whole}; count what is really done")


def _check_kept(subject: Subject, network: nn.Module, images: Tensor, restored: Tensor, spent: Tensor) -> None:
    state = network.state_dict()
    infinite = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if infinite:
        raise subject.fail(f"spend sets {infinite[0]} to what is not finite, which no header can hold; take a bound")
    other = subject.stirred()
    other.load_state_dict(state)
    again, as_much = _adapted(subject, other, images)
    if not torch.equal(as_much, spent) or distance(again, restored) > CLOSE:
        raise subject.fail(
            "a network with the same state_dict() does not adapt as the one that was set; let all that spend sets "
            "stand in buffers, so that a weights file can hold it"
        )
