"""Several processes for one command: torchrun starts them, each does its share, and they end with one exit code.

`python -m lowvision.system.processes` is torchrun without the pages that it prints when a process ends early.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from lowvision.errors import RunError
from lowvision.system import devices

Item = TypeVar("Item")

PATIENCE = timedelta(days=7)
"""How long a process waits for the others: whoever had the small images must not give up on the large ones."""
INTERRUPTED = 130


def launch(words: Sequence[str], processes: int, device: str) -> int:
    """Run `lowvision` with these words in several processes; the exit code of the first that fails, or 0."""
    devices.check_processes(processes, devices.choose(device))
    torchrun = [sys.executable, "-m", "lowvision.system.processes", "--standalone", "--nproc_per_node", str(processes)]
    # Without a word torchrun gives each process one thread, however many cores there are.
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    return _run([*torchrun, "-m", "lowvision", *words], {"OMP_NUM_THREADS": threads, **os.environ})


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that do one command together, as one of them sees them."""

    index: int
    """Which of them this process is."""
    count: int
    """How many they are."""

    @property
    def is_main_process(self) -> bool:
        """Whether this process speaks for all."""
        return self.index == 0

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """Those that this process has to do: every `count`th."""
        return items[self.index :: self.count]

    def wait(self) -> None:
        """Go on when all have come so far."""
        if self.count > 1:
            from accelerate.utils import wait_for_everyone

            wait_for_everyone()

    def gather(self, items: Sequence[Item]) -> list[Item]:
        """What all processes have, by picking one of each in turn: `shard` undone."""
        if self.count == 1:
            return list(items)
        from accelerate.utils import gather_object

        shards: list[Sequence[Item]] = gather_object([items])
        longest = max(len(shard) for shard in shards)
        return [shard[n] for n in range(longest) for shard in shards if n < len(shard)]


def join(device: str) -> ProcessGroup:
    """The group that this process belongs to; alone where torchrun has not started it. Raises RunError."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ProcessGroup(0, 1)
    from accelerate import PartialState  # 2 s, which a process alone need not wait

    state = PartialState(cpu=devices.choose(device) == "cpu", timeout=PATIENCE)
    check_together(state.num_processes)
    return ProcessGroup(state.process_index, count)


def check_together(working: int) -> None:
    """Raises RunError unless all processes that torchrun started work together."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if working != started:
        raise RunError(f"{started} processes were started but {working} work together")


def _run(command: Sequence[str], surroundings: dict[str, str]) -> int:
    """Run a command to its end; what would stop this process is handed on, and waited for."""
    # In a session of its own: a terminal's Ctrl-C would else reach torchrun twice, and the second time it would leave
    # its processes behind.
    child = subprocess.Popen(command, env=surroundings, start_new_session=True)
    stopped: list[int] = []

    def hand_on(number: int, _frame: Any) -> None:
        stopped.append(number)
        if len(stopped) == 1:
            child.send_signal(signal.SIGINT)

    usual = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = child.wait()
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
    return INTERRUPTED if stopped else code


def _torchrun() -> None:
    """torchrun with the words of this process; exits as the first process that failed."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable(logging.ERROR)  # what went wrong is told by the process where it did
    try:
        run.main()
    except SignalException:
        sys.exit(INTERRUPTED)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:  # nobody else can tell: it had no time for a word
            why = signal.Signals(-failure.exitcode).name
            print(f"process {rank} was ended by {why}; if memory ran out, use fewer --processes", file=sys.stderr)
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)


if __name__ == "__main__":
    _torchrun()
