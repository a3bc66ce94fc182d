"""Claims about `lowvision doctor RUN`: every damage to a run is found, and a sound run has no problems."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tiny

from lowvision.commands import run_check
from lowvision.errors import UsageError
from lowvision.plugins import registry

REGISTRY = registry.load()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = tiny.write_recipe(tmp_path_factory.mktemp("doctor"))
    alone = [f"stages.{stage}=null" for stage in ("branches", "classifier", "joint", "evaluate")]
    assert tiny.in_a_child(tiny.run, recipe, recipe.parent / "run", *alone) == 0
    return recipe.parent / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def problems(run: Path) -> list[str]:
    return [problem["problem"] for problem in run_check.document(run, REGISTRY)["problems"]]


def test_a_valid_run_has_no_problems(run: Path) -> None:
    document = run_check.document(run, REGISTRY)
    assert document["problems"] == []
    assert document["stages"] == [
        {"name": "base", "finished": True, "checkpoints": 2},
        {"name": "rank", "finished": True, "checkpoints": 0},
    ]
    assert run_check.text(document).endswith("nothing wrong")


def test_the_networks_of_a_stage_are_finished_when_the_stage_is(run: Path) -> None:
    shutil.copytree(run / "base" / "checkpoints", run / "base" / "0" / "checkpoints")
    assert {"name": "base/0", "finished": True, "checkpoints": 2} in run_check.document(run, REGISTRY)["stages"]
    (run / "base" / "done.json").unlink()
    assert {"name": "base/0", "finished": False, "checkpoints": 2} in run_check.document(run, REGISTRY)["stages"]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("base/last.safetensors", "last.safetensors: is damaged, its checksum differs"),
        ("rank/ranking.npz", "ranking.npz: is damaged, its checksum differs"),
        ("base/checkpoints/step-00000006/optimizer.bin", "damaged: optimizer.bin has another checksum"),
        ("base/checkpoints/step-00000004/manifest.json", "step-00000004: the checkpoint is damaged: "),
        ("metrics.jsonl", "metrics.jsonl: 1 damaged lines"),
    ],
)
def test_one_changed_byte_is_reported(run: Path, name: str, damage: str) -> None:
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[:-9] + bytes([content[-9] ^ 0x80]) + content[-8:])
    (problem,) = problems(run)
    assert damage in problem


def test_missing_results_and_an_interrupted_restart_are_reported(run: Path) -> None:
    (run / "base" / "last.safetensors").unlink()
    (run / "restarting").touch()
    (run / "files.jsonl").unlink()
    text = "\n".join(problems(run))
    assert "last.safetensors: is missing" in text
    assert "--restart was interrupted" in text
    assert "has no files.jsonl" in text


def test_a_run_without_valid_checkpoint_is_reported_with_a_remedy(run: Path) -> None:
    for path in (run / "base" / "checkpoints").glob("*/model.safetensors"):
        path.write_bytes(b"")
    reported = run_check.document(run, REGISTRY)["problems"]
    assert len(reported) == 2
    assert all(problem["solution"].startswith(f"delete {run}/base/checkpoints, and run") for problem in reported)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not the folder of a run"):
        run_check.document(tmp_path, REGISTRY)
