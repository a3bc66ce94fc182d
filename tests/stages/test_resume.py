"""A run that is killed at any moment goes on and ends with the same weights, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file

ENDS = ("base/last", "branches/0/last", "branches/2/last", "classifier/last", "joint/last", "joint/best")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return tiny.write_recipe(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def uninterrupted(recipe) -> dict[str, dict[str, torch.Tensor]]:
    folder = recipe.parent / "uninterrupted"
    assert tiny.in_a_child(lambda: tiny.run(recipe, folder)) == 0
    return weights(folder)


def weights(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {end: load_file(folder / f"{end}.safetensors") for end in ENDS}


def killed_at_call(number: int, owner: object, name: str):
    """Patch a function so that the process dies when it is called for the `number`th time."""
    original, calls = getattr(owner, name), []

    def deadly(*args, **kwargs):
        calls.append(name)
        if len(calls) == number:
            tiny.die()
        return original(*args, **kwargs)

    setattr(owner, name, deadly)


def moments():
    from lowvision import writing
    from lowvision.stages import rank
    from lowvision.training import checkpoint, loop

    return {
        "in the middle of the base": (4, loop, "update"),
        "inside the second checkpoint, before it is whole": (2, checkpoint.json, "dumps"),
        "before weights that are written get their name": (2, writing.os, "replace"),
        "after the tiles are ranked": (1, rank, "_write"),
        "in the second branch": (12, loop, "update"),
        "in the joint stage, after a checkpoint": (25, loop, "update"),
    }


@pytest.mark.parametrize("moment", moments())
def test_killed(moment, recipe, uninterrupted):
    folder = recipe.parent / moment.replace(" ", "-")

    def work() -> None:
        killed_at_call(*moments()[moment])
        tiny.run(recipe, folder)

    assert tiny.in_a_child(work) == -9
    assert not (folder / "report.json").exists()
    assert tiny.in_a_child(lambda: tiny.run(recipe, folder)) == 0
    assert (folder / "report.json").exists()
    for end, state in weights(folder).items():
        for name, tensor in state.items():
            assert torch.equal(tensor, uninterrupted[end][name]), f"{end}: {name}"


def test_what_was_measured_twice_is_told_once(recipe, uninterrupted):
    from lowvision.training import log, loop

    folder = recipe.parent / "told-once"

    def work() -> None:
        killed_at_call(6, loop, "update")
        tiny.run(recipe, folder)

    tiny.in_a_child(work)
    tiny.in_a_child(lambda: tiny.run(recipe, folder))
    steps = [(e["stage"], e["step"], "loss" in e) for e in log.read_metrics(folder)]
    assert len(steps) == len(set(steps))
    assert steps == [(e["stage"], e["step"], "loss" in e) for e in log.read_metrics(recipe.parent / "uninterrupted")]
