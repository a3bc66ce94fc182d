"""Claims about pipes and devices in place of recipes, weights and layouts: refused at once, never read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lowvision.config import yaml_reader
from lowvision.errors import LowvisionError
from lowvision.models import ncnn, tensor_files
from lowvision.system import regular_file

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices in the file system")


@pytest.fixture(params=["pipe", "/dev/zero", "link to /dev/zero"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "special"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "/dev/zero":
        return Path("/dev/zero")
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize(
    "read",
    [yaml_reader.read, tensor_files.is_pickled, tensor_files.tensors, ncnn.read, tensor_files.refuse_other_kinds],
)
def test_recipes_and_weights_are_not_read_from_pipes_and_devices(read: Callable[[Path], object], special: Path) -> None:
    with pytest.raises(LowvisionError, match="is a pipe or a device, not a regular file"):
        read(special)


def test_the_numbers_of_an_ncnn_file_are_not_read_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.bin")
    with pytest.raises(LowvisionError, match=r"a\.bin: cannot be read: it is a pipe"):
        ncnn._Numbers.of(tmp_path / "a.bin")


def test_files_and_folders_are_regular_and_a_missing_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    regular_file.check(tmp_path / "a")
    regular_file.check(tmp_path)
    with pytest.raises(FileNotFoundError):
        regular_file.check(tmp_path / "b")
