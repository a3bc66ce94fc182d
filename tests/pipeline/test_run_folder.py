"""A run's folder: one name, one lock, and only the run's own files are removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.errors import RunError, UsageError
from lowvision.pipeline import run_folder
from lowvision.training import checkpoint


@pytest.mark.parametrize("name", ["", ".", "..", "../../evil", "/tmp/evil", "a/b", "a\\b", "a\0b", "a\nb", "\x1b]0;x"])
def test_a_name_that_escapes_the_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"is not the name of one folder; give"):
        run_folder.checked_name(name)


def test_a_name_of_more_bytes_than_a_file_system_allows_is_refused() -> None:
    with pytest.raises(UsageError, match="longer than 255 bytes"):
        run_folder.checked_name("é" * 128)
    assert run_folder.checked_name("é" * 127)


@given(st.text(max_size=300))
def test_an_accepted_name_is_one_path_component(name: str) -> None:
    refusal = None
    try:
        run_folder.checked_name(name)
    except UsageError as error:
        refusal = str(error)
    if refusal is None:
        assert os.path.normpath(f"/runs/{name}") == f"/runs/{name}"
    else:
        assert refusal.isprintable()


def write(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a finished run with its file list."""
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    run_folder.start_list(folder)
    names = (run_folder.RESOLVED, "base/done.json", "base/last[1].safetensors", "report.json")
    run_folder.claim(folder, *(folder / name for name in names))
    run_folder.claim(folder, folder / "base" / checkpoint.FOLDER)
    for name in (*names, "base/checkpoints/step-00000002/loop.json", "base/checkpoints/.partial/half"):
        write(folder, name)
    return folder


def contents(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_all_files_that_the_run_wrote_are_removed(folder: Path) -> None:
    write(folder, "base/.last[1].safetensors.17-4.part")
    run_folder.remove_results(folder)
    assert contents(folder) == {run_folder.LIST}


def test_other_files_are_kept_and_listed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    others = {"notes.txt", "base/plot.png", "base/last1.safetensors", "base/checkpoints/mine/x"}
    for name in others:
        write(folder, name)
    with caplog.at_level("INFO", "lowvision"):
        run_folder.remove_results(folder)
    assert {name for name in contents(folder) if (folder / name).is_file()} == others | {run_folder.LIST}
    run_folder.start_list(folder)  # the next run starts a new list
    assert "base/checkpoints/mine/x, base/last1.safetensors, base/plot.png, notes.txt" in caplog.text


@pytest.mark.parametrize("name", ["../precious", "/precious", "link/precious", "base/../../precious"])
def test_a_listed_path_outside_the_folder_is_not_removed(folder: Path, tmp_path: Path, name: str) -> None:
    precious = write(folder.parent, "precious")
    (folder / "link").symlink_to(folder.parent)
    name = str(precious) if name.startswith("/") else name
    with (folder / run_folder.LIST).open("a") as file:
        file.write(f'"{name}"\n')
    run_folder.remove_results(folder)
    assert precious.exists()


def test_a_linked_folder_is_emptied_and_stays_linked(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    run_folder.remove_results(link)
    assert contents(folder) == {run_folder.LIST}
    assert link.is_symlink()


def test_a_folder_without_the_list_is_not_emptied(folder: Path) -> None:
    (folder / run_folder.LIST).unlink()
    before = contents(folder)
    with pytest.raises(RunError, match=r"has no files\.jsonl"):
        run_folder.remove_results(folder)
    assert contents(folder) == before


def test_unlisted_results_are_not_reused_by_the_next_run(folder: Path) -> None:
    write(folder, "joint/done.json")
    with pytest.raises(RunError, match=r"does not list: joint/done\.json"):
        run_folder.remove_results(folder)
    assert (folder / run_folder.RESTARTING).exists()


def test_a_folder_with_other_files_is_refused_as_a_run_folder(tmp_path: Path) -> None:
    write(tmp_path, "recipe.yml")
    with pytest.raises(RunError, match=r"is not the folder of a run, it holds recipe\.yml"):
        run_folder.start_list(tmp_path)


def test_a_file_is_listed_once(folder: Path) -> None:
    before = (folder / run_folder.LIST).read_text()
    run_folder.claim(folder, folder / "report.json")
    assert (folder / run_folder.LIST).read_text() == before


HOLDER = """
import multiprocessing, sys, time
from pathlib import Path
from lowvision.pipeline import run_folder
with run_folder.locked(Path(sys.argv[1])):
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,)).start()
    print("locked", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> None:
    with run_folder.locked(folder):
        pass


def test_a_lock_that_is_let_go_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(1) as other, caplog.at_level("INFO", "lowvision"):
        with run_folder.locked(tmp_path / "run"):
            waiting = other.submit(hold, tmp_path / "run")
            while "waiting for another process in this folder to end" not in caplog.text:
                time.sleep(0.01)
            assert not waiting.done()
        waiting.result(timeout=10)


def test_the_lock_excludes_other_processes_and_ends_with_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        monkeypatch.setattr(run_folder, "SECONDS_TO_WAIT", 0.1)
        with pytest.raises(RunError, match="another process runs in this folder"), run_folder.locked(tmp_path / "run"):
            pass
        monkeypatch.undo()
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(hold, tmp_path / "run")
            holder.kill()
            # The forked child, like a worker that loads tiles, still lives. It lets the lock go when it is scheduled.
            waiting.result(timeout=10)
        os.killpg(holder.pid, signal.SIGKILL)


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "file")
    with pytest.raises(RunError, match=r"cannot be written: .*; --runs FOLDER"), run_folder.locked(tmp_path / "file"):
        pass
