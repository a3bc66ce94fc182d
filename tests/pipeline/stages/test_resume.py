"""A run that is killed at any moment resumes, and ends with the same weights, bit for bit."""

from __future__ import annotations

import pkgutil
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.timeout(900)  # several runs each: a loaded machine takes minutes

ENDS = ("base/last", "branches/0/last", "branches/2/last", "classifier/last", "joint/last", "joint/best")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return tiny.write_recipe(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def uninterrupted(recipe) -> dict[str, dict[str, torch.Tensor]]:
    folder = recipe.parent / "uninterrupted"
    assert tiny.in_a_child(tiny.run, recipe, folder) == 0
    return weights(folder)


def weights(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {end: load_file(folder / f"{end}.safetensors") for end in ENDS}


MOMENTS = {
    "in the middle of the base": (4, "lowvision.training.loop", "update"),
    "inside the second checkpoint, before it is whole": (2, "accelerate.Accelerator", "save_state"),
    "before the second checkpoint, which is whole, gets its name": (2, "pathlib.Path", "rename"),
    "before weights that are written get their name": (2, "os", "replace"),
    "after the tiles are ranked": (1, "lowvision.pipeline.stages.rank", "_write"),
    "in the second branch": (12, "lowvision.training.loop", "update"),
    "in the joint stage, after a checkpoint": (25, "lowvision.training.loop", "update"),
}


def run_and_die(recipe: Path, folder: Path, number: int, module: str, name: str, *overrides: str) -> None:
    """Run the recipe, and kill the process at call `number` of `module`.`name`."""
    owner = pkgutil.resolve_name(module)
    original, calls = getattr(owner, name), []

    def deadly(*args, **kwargs):
        calls.append(name)
        if len(calls) == number:
            tiny.die()
        return original(*args, **kwargs)

    setattr(owner, name, deadly)
    tiny.run(recipe, folder, *overrides)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_any_moment_resumes_bit_for_bit(moment, recipe, uninterrupted):
    folder = recipe.parent / moment.replace(" ", "-")
    assert tiny.in_a_child(run_and_die, recipe, folder, *MOMENTS[moment]) == -9
    assert not (folder / "report.json").exists()
    assert tiny.in_a_child(tiny.run, recipe, folder) == 0
    assert (folder / "report.json").exists()
    assert [path.name for path in folder.rglob(".*")] == []  # temporary files and partial checkpoints
    for end, state in weights(folder).items():
        for name, tensor in state.items():
            assert torch.equal(tensor, uninterrupted[end][name]), f"{end}: {name}"


@pytest.mark.parametrize("damage", ["truncated", "emptied", "flipped"])
def test_a_damaged_checkpoint_is_skipped_and_the_final_weights_are_equal(damage, recipe, uninterrupted):
    folder = recipe.parent / damage
    assert tiny.in_a_child(run_and_die, recipe, folder, 6, "lowvision.training.loop", "update") == -9
    part = folder / "base" / "checkpoints" / "step-00000004" / "optimizer.bin"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes({"truncated": content[:100], "emptied": b"", "flipped": content}[damage])
    assert tiny.in_a_child(tiny.run, recipe, folder) == 0
    log = (folder / "log.txt").read_text()
    assert "step-00000004: the checkpoint is damaged (optimizer.bin has another" in log
    assert "base: resumes at step 2" in log
    for end, state in weights(folder).items():
        assert all(torch.equal(tensor, uninterrupted[end][name]) for name, tensor in state.items()), end


def test_repeated_steps_are_logged_once(recipe, uninterrupted):
    from lowvision.training import log

    folder = recipe.parent / "told-once"
    assert tiny.in_a_child(run_and_die, recipe, folder, 6, "lowvision.training.loop", "update") == -9
    tiny.in_a_child(tiny.run, recipe, folder)
    steps = [(e["stage"], e["step"], "loss" in e) for e in log.read_metrics(folder)]
    assert len(steps) == len(set(steps))
    assert steps == [(e["stage"], e["step"], "loss" in e) for e in log.read_metrics(recipe.parent / "uninterrupted")]


def test_a_network_with_random_draws_resumes_bit_for_bit(recipe):
    overrides = (
        "backbone={smsr: {channels: 8, layers: 1}}",
        "reduce=null",
        "classifier=null",
        *(f"stages.{name}=null" for name in ("rank", "branches", "classifier", "joint")),
    )
    whole, killed = recipe.parent / "draws", recipe.parent / "draws-killed"
    assert tiny.in_a_child(tiny.run, recipe, whole, *overrides) == 0
    assert tiny.in_a_child(run_and_die, recipe, killed, 5, "lowvision.training.loop", "update", *overrides) == -9
    assert tiny.in_a_child(tiny.run, recipe, killed, *overrides) == 0
    states = [load_file(folder / "base" / "last.safetensors") for folder in (whole, killed)]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
