"""A restore that is killed at any moment leaves whole results only, and the next one completes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import tiny
from image_files import write_small_photographs

from lowvision.commands import restore
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.imaging import io
from lowvision.plugins import registry

COUNT = 6


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    write_small_photographs(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def undisturbed(photographs: Path, weights_file: Path) -> dict[str, bytes]:
    output = photographs.parent / "undisturbed"
    assert tiny.in_a_child(restored, photographs, output, weights_file, False) == 0
    return contents(output)


def restored(photographs: Path, output: Path, weights_file: Path, skips_existing: bool) -> None:
    request = RestoreRequest(
        patterns=(str(photographs),),
        output=output,
        weights=weights_file,
        options=RestoreOptions(skips_existing=skips_existing),
        device="cpu",
        runtime="torch",
    )
    document = restore.run(request, registry.load())
    assert document is None or not document["failed"]


def killed(moment: str, *arguments: object) -> None:
    """Restore, and kill the process at the second result: during its write, or before its rename."""
    replace, write_frames, calls = os.replace, io.write_frames, []

    def count(function, *words, **options):
        calls.append(function)
        if calls.count(function) == 2:
            if moment == "inside a file":
                os.truncate(words[0], 40)
            tiny.die()
        return function(*words, **options)

    if moment == "before a file":
        io.write_frames = lambda *words: count(write_frames, *words)
    else:
        os.replace = lambda *words: count(replace, *words)
    restored(*arguments)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, including hidden files."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("moment", "processes"), [("before a file", 1), ("inside a file", 1), ("before a name", 1), ("inside a file", 2)]
)
def test_a_restore_killed_at_any_moment_leaves_complete_results(
    moment: str, processes: int, photographs: Path, weights_file: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    arguments = (photographs, tmp_path / "out", weights_file)
    assert tiny.in_processes(processes, killed, moment, *arguments, False) == [-9] * processes
    whole = {name: content for name, content in contents(tmp_path / "out").items() if not name.startswith(".")}
    assert 0 < len(whole) < COUNT
    assert whole.items() <= undisturbed.items()
    assert tiny.in_processes(processes, restored, *arguments, True) == [0] * processes
    assert contents(tmp_path / "out") == undisturbed
