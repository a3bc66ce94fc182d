"""A compiled training gives the weights of an uncompiled one, under the same names, also if it was interrupted.

The backend `eager` captures graphs as the default one does, and generates no code, which would take minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from lowvision.errors import TrainingError
from lowvision.routing.container import RoutedContainer
from lowvision.training import checkpoint, compiling
from training.test_loop import SGD, Interrupted, train

COMPILED = SGD.replace(compile=True, checkpoint_every=2, ema=0.9)


@pytest.fixture(autouse=True)
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Capture graphs without generating code; return the statistics of captures."""
    monkeypatch.setattr(compiling, "BACKEND", "eager")
    torch.compiler.reset()
    counters.clear()
    yield counters["stats"]
    torch.compiler.reset()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))


def test_weights_and_their_names_are_those_of_a_training_that_is_not_compiled(tmp_path: Path, captured: Any) -> None:
    plain = train(tmp_path / "plain", COMPILED.replace(compile=False), network())["last.safetensors"][0]
    assert not captured
    trained = network()
    saved = train(tmp_path / "compiled", COMPILED, trained)["last.safetensors"][0]
    assert captured["unique_graphs"] >= 1
    assert saved.keys() == plain.keys()
    assert all(torch.equal(saved[name], plain[name]) for name in plain)
    assert trained._compiled_call_impl is None


def test_an_interrupted_compiled_training_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(tmp_path / "whole", COMPILED, network())["last.safetensors"][0]
    save = checkpoint.save

    def then_die(*arguments: Any) -> None:
        save(*arguments)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", then_die)
        with pytest.raises(Interrupted):
            train(tmp_path / "cut", COMPILED, network())
    resumed = train(tmp_path / "cut", COMPILED, network())["last.safetensors"][0]
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_classifier_and_branches_of_a_container_are_compiled_each(captured: Any) -> None:
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    container = RoutedContainer(classifier, [network(), network()])
    names = list(container.state_dict())
    with compiling.compiled(container, "joint", wanted=True):
        container(torch.rand(2, 3, 8, 8))
        assert captured["unique_graphs"] >= 2  # branches of one structure may share theirs
        assert all(part._compiled_call_impl for part in (classifier, *container.branches.networks))
        assert list(container.state_dict()) == names


def test_a_network_that_cannot_be_compiled_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> Any:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(compiling, "BACKEND", fails)
    restored = network()
    with (
        pytest.raises(TrainingError, match=r"base: cannot be compiled: .*no C\+\+ compiler.*; omit compile"),
        compiling.compiled(restored, "base", wanted=True),
    ):
        restored(torch.rand(1, 3, 4, 4))
