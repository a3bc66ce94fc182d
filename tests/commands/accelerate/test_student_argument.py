"""Claims about the students that a user names: networks of a recipe, files, shipped weights, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from lowvision.commands.accelerate import student_argument
from lowvision.errors import LowvisionError
from lowvision.plugins import registry
from lowvision_sr import FSRCNN, SuperResolution

KNOWN = registry.load()
TASK = SuperResolution(scale=4)
TINY = tiny.architecture()


def test_a_network_is_named_as_in_a_recipe() -> None:
    requested = student_argument.parse(["{fsrcnn: {channels: 8}}", "fsrcnn", "fsrcnn: {layers: 2}"], TASK, KNOWN)
    assert requested.networks == (FSRCNN(channels=8), FSRCNN(), FSRCNN(layers=2))
    assert requested.trained == ()


def test_a_file_names_its_network_and_starts_it(tmp_path: Path) -> None:
    file = tmp_path / "small.safetensors"
    alone = TINY.only(0)
    tiny.write_weights(file, alone)
    requested = student_argument.parse([str(file), "fsrcnn"], TINY.task, KNOWN)
    assert requested.networks == (*alone.branches, FSRCNN())
    assert [(weights.name, weights.networks) for weights in requested.trained] == [(str(file), alone.branches)]


def test_weights_of_a_container_name_all_its_branches() -> None:
    requested = student_argument.parse(["sr-disp-x4"], TASK, KNOWN)
    assert len(requested.networks) == 4
    assert [weights.name for weights in requested.trained] == ["sr-disp-x4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fsrcn", r"--students fsrcn: no such file, network or shipped weights; did you mean 'fsrcnn'\?"),
        ("missing/file.pth", r"--students missing/file\.pth: no such file, network .*; give a path, or a name"),
        ("{fsrcnn: {channel: 8}}", "--students"),
        ("denoise-disp", r"--students: '.*denoise-disp.*' has scale 1 and 3 channels, the task has scale 4 and 3"),
        (__file__, r"test_student_argument\.py"),
    ],
)
def test_a_text_that_names_no_student_is_refused(text: str, message: str) -> None:
    with pytest.raises(LowvisionError, match=message):
        student_argument.parse([text], TASK, KNOWN)


def test_a_network_precedes_a_folder_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fsrcnn").mkdir()
    assert student_argument.parse(["fsrcnn"], TASK, KNOWN).networks == (FSRCNN(),)
