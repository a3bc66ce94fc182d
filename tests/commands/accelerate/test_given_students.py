"""Claims about the students that a user names: networks of a recipe, files, shipped weights, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from lowvision.commands.accelerate import given_students
from lowvision.errors import LowvisionError
from lowvision.models.architecture import Architecture
from lowvision.plugins import registry
from lowvision_sr import FSRCNN, SuperResolution

KNOWN = registry.load()
TEACHER = Architecture(task=SuperResolution(scale=4), branches=(FSRCNN(),))
TINY = tiny.architecture()


def test_a_network_is_named_as_in_a_recipe() -> None:
    given = given_students.read(["{fsrcnn: {channels: 8}}", "fsrcnn", "fsrcnn: {layers: 2}"], TEACHER, KNOWN)
    assert given.networks == (FSRCNN(channels=8), FSRCNN(), FSRCNN(layers=2))
    assert given.trained == ()


def test_a_file_names_its_network_and_starts_it(tmp_path: Path) -> None:
    file = tmp_path / "small.safetensors"
    alone = TINY.only(0)
    tiny.write_weights(file, alone)
    given = given_students.read([str(file), "fsrcnn"], TINY, KNOWN)
    assert given.networks == (*alone.branches, FSRCNN())
    assert [(weights.name, weights.networks) for weights in given.trained] == [(str(file), alone.branches)]


def test_weights_of_a_container_name_all_its_branches() -> None:
    given = given_students.read(["sr-disp-x4"], TEACHER, KNOWN)
    assert len(given.networks) == 4
    assert [weights.name for weights in given.trained] == ["sr-disp-x4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fsrcn", r"--students fsrcn: no such file, network or shipped weights; did you mean 'fsrcnn'\?"),
        ("missing/file.pth", r"--students missing/file\.pth: no such file, network .*; `lowvision ls backbones`"),
        ("{fsrcnn: {channel: 8}}", "--students"),
        ("denoise-disp", r"--students denoise-disp: has scale 1 and 3 channels, the network 4 and 3; name weights"),
        (__file__, r"test_given_students\.py"),
    ],
)
def test_a_text_that_names_no_student_is_refused(text: str, message: str) -> None:
    with pytest.raises(LowvisionError, match=message):
        given_students.read([text], TEACHER, KNOWN)
