"""Claims about several processes for one command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from lowvision.errors import RunError
from lowvision.system import processes
from lowvision.system.processes import ProcessGroup


def test_the_shares_of_all_processes_cover_all_items() -> None:
    components = list(range(7))
    shards = [list(ProcessGroup(index, 3).shard(components)) for index in range(3)]
    assert shards == [[0, 3, 6], [1, 4], [2, 5]]


def test_a_single_process_does_not_wait() -> None:
    group = processes.join("cpu")
    group.wait()
    assert group == ProcessGroup(0, 1)
    assert group.is_main_process
    assert group.gather(["a", "b"]) == ["a", "b"]


def test_an_incomplete_process_group_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(RunError, match="4 processes were started but 1 have joined"):
        processes.check_together(1)


def test_more_processes_than_cores_are_refused() -> None:
    with pytest.raises(RunError, match="use at most"):
        processes.launch([], (os.cpu_count() or 1) + 1, "cpu")


ASLEEP = "import time; print('asleep', flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: raise SystemExit(7)"
LAUNCHER = (
    "import os, sys; from lowvision.system import processes; sys.exit(processes._run(sys.argv[1:], dict(os.environ)))"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_forwarded_to_the_processes_and_their_exit_is_awaited(number: int) -> None:
    command = [sys.executable, "-c", LAUNCHER, sys.executable, "-c", ASLEEP]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as launcher:
        assert launcher.stdout is not None
        try:
            assert launcher.stdout.readline() == "asleep\n"
            time.sleep(0.2)  # its handlers are set right after the child has been started
            launcher.send_signal(number)
            assert launcher.wait(timeout=30) == processes.INTERRUPTED
        finally:
            launcher.kill()  # otherwise leaving the block would wait for it
