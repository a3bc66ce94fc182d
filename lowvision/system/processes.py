"""Run one command in several processes: torchrun starts them; each processes its shard; one exit code results.

`python -m lowvision.system.processes` is torchrun without its long output when a process fails.
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
from lowvision.system import cores, devices

Item = TypeVar("Item")

PATIENCE = timedelta(days=7)
"""Timeout of a process that waits for the others, which may have larger images."""
REPLICATED = ("NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU")
"""Kinds of Accelerate in which every process holds the whole network."""
SHARDING = ("FSDP", "DEEPSPEED", "MEGATRON_LM")
"""Kinds that split the network; `accelerate launch` requests them by ACCELERATE_USE_<kind>."""
INTERRUPTED = 130
PR_SET_PDEATHSIG = 1
"""Option of Linux's prctl."""


def launch(arguments: Sequence[str], processes: int, device: str) -> int:
    """Run `lowvision` with these arguments in several processes; return the exit code of the first failure, or 0."""
    devices.check_processes(processes, devices.choose(device))
    torchrun = [sys.executable, "-m", "lowvision.system.processes", "--standalone", "--nproc_per_node", str(processes)]
    # By default torchrun gives each process one thread, regardless of the number of cores.
    threads = str(max(1, cores.usable() // processes))
    return _run([*torchrun, "-m", "lowvision", *arguments], {"OMP_NUM_THREADS": threads, **os.environ})


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that run one command together, from the view of one of them."""

    index: int
    """Rank of this process, from 0."""
    count: int
    """Number of processes."""

    @property
    def is_main_process(self) -> bool:
        """True for the process that prints and writes for all."""
        return self.index == 0

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items of this process: every `count`th."""
        return items[self.index :: self.count]

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.count > 1:
            from accelerate.utils import wait_for_everyone

            wait_for_everyone()

    def gather(self, items: Sequence[Item]) -> list[Item]:
        """Return the items of all processes in the order before `shard`: one of each process in turn."""
        if self.count == 1:
            return list(items)
        from accelerate.utils import gather_object

        shards: list[Sequence[Item]] = gather_object([items])
        longest = max(len(shard) for shard in shards)
        return [shard[n] for n in range(longest) for shard in shards if n < len(shard)]


def join(device: str) -> ProcessGroup:
    """Return the process group of this process; a group of one without torchrun. Raises RunError."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return ProcessGroup(0, 1)
    from accelerate import PartialState  # takes 2 s; not needed by a single process

    if "TORCHELASTIC_RUN_ID" in os.environ:
        end_with_parent()
    state = PartialState(cpu=devices.choose(device) == "cpu", timeout=PATIENCE)
    check_together(state.num_processes)
    check_replicated(state.distributed_type.value)
    return ProcessGroup(state.process_index, count)


def check_together(working: int) -> None:
    """Raise RunError unless all processes that torchrun started have joined."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if working != started:
        raise RunError(f"{started} processes were started but {working} have joined; see the output of the others")


def check_replicated(kind: str = "NO") -> None:
    """Raise RunError if the network is split over processes: average, validation and weights need it whole."""
    requested = [name for name in SHARDING if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true"]
    if kind not in REPLICATED or requested:
        raise RunError(
            f"{', '.join(requested) or kind} splits the network over processes, which is not supported; start with "
            "--processes N, torchrun, or a configuration of accelerate without it"
        )


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end; forward signals that would stop this process, and wait."""
    # In its own session: otherwise Ctrl-C reaches torchrun twice, and the second one orphans its processes.
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    received: list[int] = []

    def forward(number: int, _frame: Any) -> None:
        received.append(number)
        if len(received) == 1:
            child.send_signal(signal.SIGINT)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return INTERRUPTED if received else code


def end_with_parent() -> None:
    """End this process when the one that started it ends, even by `kill -9`; no effect outside Linux."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM if __name__ == "__main__" else signal.SIGKILL)


def _torchrun() -> None:
    """Run torchrun with the arguments of this process; exit with the code of the first process that failed."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    end_with_parent()
    logging.disable(logging.ERROR)  # the failed process prints its own error
    try:
        run.main()
    except SignalException:
        sys.exit(INTERRUPTED)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:  # killed by a signal, so it printed nothing
            name = signal.Signals(-failure.exitcode).name
            print(f"process {rank} was ended by {name}; if memory ran out, use fewer --processes", file=sys.stderr)
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)


if __name__ == "__main__":
    _torchrun()
