"""Which runtime is the fastest for given weights on this machine, by trying; the answer is kept in the cache."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from lowvision.errors import summary_of
from lowvision.inference.trained_networks import ModelBundle, Say, tell
from lowvision.plugins.contracts import Precision, Runtime
from lowvision.plugins.registry import Entry, Registry
from lowvision.routing.tiling import up
from lowvision.system import cache, devices
from lowvision.system.distributions import installed_version

TILES = 4
"""Of one call: enough that a batch is worth something, few enough that the largest network answers soon."""
ROUNDS = 4
"""After a first one that is not counted; fewer where they take longer than PATIENCE."""
PATIENCE = 2.0
"""Seconds for one runtime."""
AGREES: Mapping[Precision, float] = {"f32": 0.01, "bf16": 0.04}
"""How far a runtime's output may be from another's; what is further off is wrong, not rounded."""


@dataclass(frozen=True)
class Fastest:
    """The answer, and what it rests on."""

    name: str
    """On the menu `runtimes`."""
    seconds: Mapping[str, float]
    """For one tile through the last branch, by runtime; empty where there was no choice."""
    left_out: Mapping[str, str]
    """The runtimes that cannot be used, and why."""

    def __str__(self) -> str:
        """As `openvino (16.2 ms a tile; torch 31.0)`."""
        shown = {name: f"{seconds * 1000:.1f}" for name, seconds in sorted(self.seconds.items(), key=lambda s: s[1])}
        if not shown:
            return self.name
        own = shown.pop(self.name)
        return f"{self.name} ({own} ms a tile{''.join(f'; {name} {time}' for name, time in shown.items())})"


@dataclass(frozen=True)
class BenchmarkResult:
    """What came of trying one runtime."""

    output: Tensor
    seconds: float
    """For one tile."""
    rigid: str
    """Why it takes no windows of another size than a tile's; empty where it does."""


def find(
    parts: ModelBundle,
    registry: Registry,
    height: int,
    width: int,
    callers: int = 1,
    device: str = "cpu",
    precision: Precision = "f32",
    say: Say = tell,
) -> Fastest:
    """The fastest runtime for tiles (height,width) in LQ pixels, with so many threads calling at once.

    Every runtime that this machine has and that knows the precision restores the same noise by the last branch; one
    that fails, or whose result is not that of the others, is left out. Takes seconds, the first time an export as
    well; the answer is kept until weights, libraries or machine change.
    """
    provided = registry["runtimes"]
    facts = [parts.identity, height, width, callers, device, precision, *_versions(provided), *_machine()]
    path = cache.keep_file(
        f"{cache.key('fastest', facts)}.json",
        lambda path: _write(path, _tried(parts, provided, (height, width), callers, device, precision, say)),
    )
    return Fastest(**json.loads(path.read_text()))


def seconds_a_call(call: Callable[[Tensor], Tensor], x: Tensor, callers: int = 1, in_a_row: int = 2) -> float:
    """Seconds from one result to the next where `callers` threads call with x (B,C,h,w) over and over.

    The quickest of a few rounds: what disturbs a measurement only ever makes it slower. In a round each thread calls
    several times in a row: in use they do not wait for one another either.
    """

    def several(_: int) -> None:
        for _ in range(in_a_row):
            call(x)

    with ThreadPoolExecutor(callers) as threads:

        def once() -> float:
            began = time.perf_counter()
            list(threads.map(several, range(callers)))
            return (time.perf_counter() - began) / (callers * in_a_row)

        once()  # compiles, and takes memory
        rounds, began = [once()], time.perf_counter()
        while len(rounds) < ROUNDS and time.perf_counter() - began < PATIENCE:
            rounds.append(once())
    return min(rounds)


def _tried(
    parts: ModelBundle,
    provided: Mapping[str, Entry],
    size: tuple[int, int],
    callers: int,
    device: str,
    precision: Precision,
    say: Say,
) -> Fastest:
    runtimes: dict[str, Runtime] = {}
    left_out: dict[str, str] = {}
    for name, entry in provided.items():
        try:
            runtimes[name] = entry.component(precision=precision)
        except ValidationError:
            left_out[name] = f"it does not compute in {precision}"
    left_out |= {name: reason for name, runtime in runtimes.items() if (reason := runtime.missing())}
    usable = [name for name in runtimes if name not in left_out]
    say(f"trying which runtime is the fastest here, {', '.join(usable)}; once, the answer is kept")
    x = torch.rand(TILES, parts.architecture.task.channels, *size, generator=torch.Generator().manual_seed(0))
    trials: dict[str, BenchmarkResult] = {}
    for name in usable:
        try:
            trials[name] = _trial(runtimes[name], parts, x, callers, device)
        except Exception as error:  # whatever a stranger's runtime raises must not keep the others from working
            left_out[name] = summary_of(error)
    answer = _judged(trials, left_out, AGREES[precision])
    for name in usable:
        if name in answer.left_out:
            say(f"runtime {name} is left out: {answer.left_out[name]}")
    return answer


def _trial(runtime: Runtime, parts: ModelBundle, x: Tensor, callers: int, device: str) -> BenchmarkResult:
    step = parts.architecture.branches[-1].multiple_of
    narrower = x[..., : up(x.shape[-1] // 2, step)]
    call = runtime.prepare(parts.branches[-1], callers, device)
    # Not in this thread: PyTorch keeps for each how many cores a call may use, and a runtime sets that.
    with ThreadPoolExecutor(1) as thread:
        output = thread.submit(call, x).result().cpu()
        error = thread.submit(call, narrower).exception()
    return BenchmarkResult(output, seconds_a_call(call, x, callers) / TILES, summary_of(error) if error else "")


def _judged(trials: Mapping[str, BenchmarkResult], left_out: dict[str, str], agrees: float) -> Fastest:
    """The fastest of those that agree with the first, which is the most trusted: PyTorch where there is a module.

    One that takes tiles alone, as a graph that was traced for one size, is the last resort.
    """
    trusted = "torch" if "torch" in trials else next(iter(trials), "")
    right: dict[str, BenchmarkResult] = {}
    for name, trial in trials.items():
        far = (trial.output - trials[trusted].output).abs().max().item()
        if far <= agrees:
            right[name] = trial
        else:  # NaN too
            left_out[name] = f"its output is {far:.2g} away from that of {trusted}"
    if not all(trial.rigid for trial in right.values()):
        for name in [name for name, trial in right.items() if trial.rigid]:
            left_out[name] = f"it takes tiles alone, not windows of other sizes: {right.pop(name).rigid}"
    seconds = {name: trial.seconds for name, trial in right.items()}
    # Where nothing works PyTorch's own error is the one to see, when it is asked for in earnest.
    return Fastest(min(seconds, key=lambda name: seconds[name], default="torch"), seconds, left_out)


def _write(path: Path, answer: Fastest) -> None:
    path.write_text(json.dumps(asdict(answer)))


def _versions(provided: Mapping[str, Entry]) -> list[str]:
    """Every runtime and all that its distribution can require, with the versions that are installed."""
    found = {f"{name} {entry.distribution} {entry.version}" for name, entry in provided.items()}
    for distribution in {entry.distribution for entry in provided.values()}:
        for requirement in metadata.requires(distribution) or ():
            name = re.split(r"[^\w.-]", requirement)[0]
            if version := installed_version(name):
                found.add(f"{name} {version}")
    return sorted(found)


def _machine() -> list[str | int]:
    """What speed depends on besides the libraries."""
    return [
        platform.machine(),
        devices.cpu_name(),
        torch.backends.cpu.get_cpu_capability(),
        os.cpu_count() or 1,
        torch.get_num_threads(),
    ]
