"""A checkpoint holds all that a stage needs to resume, even if its networks share tensors."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from timm.utils import ModelEmaV3
from torch import nn

from lowvision.errors import RunError
from lowvision.training import checkpoint


class Tied(nn.Module):
    """A network with one layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first


def test_a_moving_average_with_shared_layers_is_restored(tmp_path: Path) -> None:
    accelerator = Accelerator(cpu=True)
    average, other = ModelEmaV3(Tied()), ModelEmaV3(Tied())
    checkpoint.save(accelerator, tmp_path, 7, {"best": 1.0}, average)
    path = checkpoint.latest(tmp_path, pytest.fail)
    assert path is not None
    assert checkpoint.restore(accelerator, path, other) == {"step": 7, "best": 1.0}
    torch.testing.assert_close(other.module.second.weight, average.module.first.weight)


def saved(folder: Path, *steps: int) -> Accelerator:
    accelerator = Accelerator(cpu=True)
    accelerator.prepare(nn.Linear(2, 2))
    for step in steps:
        checkpoint.save(accelerator, folder, step, {"best": 1.0}, ModelEmaV3(nn.Linear(2, 2)))
    return accelerator


def test_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, 2, 4, 6)
    assert [path.name for path in checkpoint.newest_first(tmp_path)] == ["step-00000006", "step-00000004"]


def test_every_checkpoint_part_is_in_the_manifest_and_damage_is_detected(tmp_path: Path) -> None:
    saved(tmp_path, 2)
    (path,) = checkpoint.newest_first(tmp_path)
    parts = [part for part in path.iterdir() if part.name != checkpoint.MANIFEST]
    assert {checkpoint.LOOP, checkpoint.AVERAGE, "model.safetensors", "random_states_0.pkl"} <= {p.name for p in parts}
    for part in parts:
        content = part.read_bytes()
        for damaged in (b"", content[:-1], bytes([content[0] ^ 4]) + content[1:]):
            part.write_bytes(damaged)
            assert part.name in checkpoint.damage_of(path)
        part.unlink()
        assert part.name in checkpoint.damage_of(path)
        part.write_bytes(content)
    assert not checkpoint.damage_of(path)


OVERFLOW = b'{"parts": {"loop.json": [1e999, ""]}}'
"""A size beyond all numbers; a campaign found it."""


@given(
    st.binary(max_size=40)
    | st.sampled_from([b"[]", b"1", b"{}", b'{"parts": []}', b'{"parts": {"loop.json": 1}}', OVERFLOW])
)
def test_a_changed_manifest_is_reported_as_damage(manifest: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / checkpoint.MANIFEST).write_bytes(manifest)
        assert checkpoint.damage_of(Path(folder))


def test_a_damaged_checkpoint_is_skipped_with_a_warning_or_refused_if_it_is_the_only_one(tmp_path: Path) -> None:
    saved(tmp_path, 2, 4)
    newest, older = checkpoint.newest_first(tmp_path)
    warnings: list[str] = []
    (newest / checkpoint.LOOP).write_text("{}")
    assert checkpoint.latest(tmp_path, warnings.append) == older
    assert warnings == [
        f"{newest}: the checkpoint is damaged ({checkpoint.LOOP} has another size); an older one is used"
    ]
    (older / checkpoint.MANIFEST).write_text("{")
    with pytest.raises(RunError, match="all checkpoints are damaged; delete the folder"):
        checkpoint.latest(tmp_path, warnings.append)


def test_a_checkpoint_of_an_older_version_is_loaded_if_complete(tmp_path: Path) -> None:
    accelerator = saved(tmp_path, 2)
    (path,) = checkpoint.newest_first(tmp_path)
    (path / checkpoint.MANIFEST).unlink()
    assert checkpoint.latest(tmp_path, pytest.fail) == path
    assert checkpoint.restore(accelerator, path, None)["step"] == 2
    (path / "random_states_0.pkl").write_bytes(b"")
    assert checkpoint.damage_of(path) == "random_states_0.pkl is empty"


def test_a_checkpoint_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    saved(tmp_path, 2)
    (path,) = checkpoint.newest_first(tmp_path)
    accelerator = Accelerator(cpu=True)
    accelerator.prepare(nn.Linear(3, 3))
    with pytest.raises(RunError, match=r"cannot be resumed from \(RuntimeError: .*; delete it") as refused:
        checkpoint.restore(accelerator, path, None)
    assert "\n" not in str(refused.value)
