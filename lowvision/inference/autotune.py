"""Measure which runtime is the fastest for given weights on this machine; the result is cached."""

from __future__ import annotations

import json
import logging
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

from lowvision.errors import RunError, summary_of
from lowvision.inference.trained_networks import ModelBundle
from lowvision.plugins.contracts import Precision, Runtime
from lowvision.plugins.registry import Entry, Registry
from lowvision.routing.tiling import up
from lowvision.system import cache, cores, devices, source_code
from lowvision.system.distributions import installed_version

logger = logging.getLogger("lowvision")

TILES = 4
"""Tiles per call: enough to benefit from a batch, few enough that the largest network finishes soon."""
ROUNDS = 4
"""Timed rounds after a warm-up; fewer if they take longer than PATIENCE."""
PATIENCE = 2.0
"""Time limit for one runtime, in seconds."""
AGREES: Mapping[Precision, float] = {"f32": 0.01, "bf16": 0.04, "f16": 0.02}
"""Tolerance between the outputs of two runtimes, relative to the largest value, at least 1; a larger difference is an
error, not rounding. Networks whose output for noise is far outside of [0,1] round in proportion to it."""

RULES = 2
"""Version of the comparison; incremented when results in the cache could differ."""


@dataclass(frozen=True)
class Fastest:
    """The fastest runtime, and the measurements."""

    name: str
    """Name of the runtime."""
    seconds: Mapping[str, float]
    """Seconds per tile of the last branch, by runtime; empty if no runtime could be measured."""
    left_out: Mapping[str, str]
    """The reason for each runtime that cannot be used."""

    def __str__(self) -> str:
        """Format e.g. `openvino (16.2 ms per tile; torch 31.0)`."""
        shown = {name: f"{seconds * 1000:.1f}" for name, seconds in sorted(self.seconds.items(), key=lambda s: s[1])}
        if not shown:
            return self.name
        fastest = shown.pop(self.name)
        return f"{self.name} ({fastest} ms per tile{''.join(f'; {name} {time}' for name, time in shown.items())})"


@dataclass(frozen=True)
class BenchmarkResult:
    """The measurement of one runtime."""

    output: Tensor
    seconds: float
    """Seconds per tile."""
    rigid: str
    """The error for windows of another size than a tile; empty if it accepts them."""


def find(
    parts: ModelBundle,
    registry: Registry,
    height: int,
    width: int,
    callers: int = 1,
    device: str = "cpu",
    precision: Precision = "f32",
) -> Fastest:
    """Return the fastest runtime for tiles (height,width) in LQ pixels, called by `callers` threads concurrently.

    Every installed runtime that supports the precision restores the same noise with the last branch. A runtime that
    fails, or whose output differs from the others, is left out. This takes seconds, plus an export the first time; the
    result is cached until weights, libraries or machine change.
    """
    provided = registry["runtimes"]
    device_type = torch.device(device).type
    setting = [RULES, parts.identity, height, width, callers, device_type, precision]
    determinants = [*setting, *_versions(provided), *_machine(device)]
    path = cache.keep_file(
        f"{cache.key('fastest', determinants)}.json",
        lambda path: _write(path, _compare(parts, provided, (height, width), callers, device, precision)),
    )
    return Fastest(**json.loads(path.read_text()))


def seconds_a_call(
    call: Callable[[Tensor], Tensor], x: Tensor, callers: int = 1, in_a_row: int = 2, device: str = "cpu"
) -> float:
    """Return the seconds per result if `callers` threads call with x (B,C,h,w) repeatedly.

    The minimum of a few rounds, because disturbances only ever make a round slower. In a round each thread calls
    several times in a row, because in use the threads do not wait for one another either.
    """

    def call_repeatedly(_: int) -> None:
        for _ in range(in_a_row):
            call(x)
        devices.synchronize(device)  # otherwise launches are timed, not their work

    with ThreadPoolExecutor(callers) as threads:

        def timed_round() -> float:
            began = time.perf_counter()
            list(threads.map(call_repeatedly, range(callers)))
            return (time.perf_counter() - began) / (callers * in_a_row)

        timed_round()  # warm-up: compiles and allocates memory
        rounds, began = [timed_round()], time.perf_counter()
        while len(rounds) < ROUNDS and time.perf_counter() - began < PATIENCE:
            rounds.append(timed_round())
    return min(rounds)


def _compare(
    parts: ModelBundle,
    provided: Mapping[str, Entry],
    size: tuple[int, int],
    callers: int,
    device: str,
    precision: Precision,
) -> Fastest:
    runtimes: dict[str, Runtime] = {}
    left_out: dict[str, str] = {}
    for name, entry in provided.items():
        try:
            runtimes[name] = entry.component(precision=precision)
        except ValidationError:
            left_out[name] = f"it does not support {precision}"
    elsewhere = [name for name, runtime in runtimes.items() if not _supports(runtime, device)]
    left_out |= dict.fromkeys(elsewhere, f"it does not run on {device}")
    left_out |= {name: reason for name, runtime in runtimes.items() if (reason := runtime.missing())}
    on_request = [name for name, runtime in runtimes.items() if not runtime.automatic]
    left_out |= dict.fromkeys(on_request, "it is used only if it is selected")
    usable = [name for name in runtimes if name not in left_out]
    logger.info("measuring which runtime is the fastest, once: %s; the result is cached", ", ".join(usable))
    x = torch.rand(TILES, parts.architecture.task.channels, *size, generator=torch.Generator().manual_seed(0))
    results: dict[str, BenchmarkResult] = {}
    for name in usable:
        try:
            results[name] = _benchmark(runtimes[name], parts, x, callers, device)
        except Exception as error:  # a runtime of a plugin can raise anything; the others must still be measured
            left_out[name] = summary_of(error)
    for name in [name for name, result in results.items() if not bool(result.output.isfinite().all())]:
        left_out[name] = "its output has NaN or infinite values"
        del results[name]
    if usable and not results and any("NaN" in left_out[name] for name in usable):
        raise RunError(
            "the network gives NaN or infinite values with every runtime "
            f"({', '.join(usable)}) at precision {precision}; try --precision f32, or other weights"
        )
    fastest = _select(results, left_out, AGREES[precision])
    for name in usable:
        if name in fastest.left_out:
            logger.info("runtime %s is left out: %s", name, fastest.left_out[name])
    return fastest


def _supports(runtime: Runtime, device: str) -> bool:
    return runtime.devices is None or torch.device(device).type in runtime.devices


def _benchmark(runtime: Runtime, parts: ModelBundle, x: Tensor, callers: int, device: str) -> BenchmarkResult:
    step = parts.architecture.branches[-1].multiple_of
    narrower = x[..., : up(x.shape[-1] // 2, step)]
    call = runtime.prepare(parts.branches[-1], callers, device)
    # In another thread, because a runtime may set the number of cores that PyTorch uses in its thread.
    with ThreadPoolExecutor(1) as thread:
        output = thread.submit(call, x).result().cpu()
        error = thread.submit(call, narrower).exception()
    return BenchmarkResult(
        output, seconds_a_call(call, x, callers, device=device) / TILES, summary_of(error) if error else ""
    )


def _select(results: Mapping[str, BenchmarkResult], left_out: dict[str, str], agrees: float) -> Fastest:
    """Return the fastest of the runtimes that agree with the reference: PyTorch if measured, else the first.

    A runtime that accepts no other size than a tile, e.g. a graph traced for one size, is the last resort.
    """
    reference = "torch" if "torch" in results else next(iter(results), "")
    valid: dict[str, BenchmarkResult] = {}
    largest = max(1.0, results[reference].output.abs().max().item()) if results else 1.0
    for name, result in results.items():
        difference = (result.output - results[reference].output).abs().max().item() / largest
        if difference <= agrees:
            valid[name] = result
        else:  # NaN too
            left_out[name] = f"its output differs from that of {reference} by {difference:.2g}"
    if not all(result.rigid for result in valid.values()):
        for name in [name for name, result in valid.items() if result.rigid]:
            left_out[name] = f"it accepts tiles only, not windows of other sizes: {valid.pop(name).rigid}"
    seconds = {name: result.seconds for name, result in valid.items()}
    # If nothing works, select torch: the restore will then raise PyTorch's own error.
    return Fastest(min(seconds, key=lambda name: seconds[name], default="torch"), seconds, left_out)


def _write(path: Path, fastest: Fastest) -> None:
    path.write_text(json.dumps(asdict(fastest)))


def _versions(provided: Mapping[str, Entry]) -> list[str]:
    """List every runtime with its version and source, and the requirements of its distribution with their versions."""
    versions = {f"{name} {entry.distribution} {entry.version}" for name, entry in provided.items()}
    for entry in provided.values():
        versions |= {f"{name} {source}" for name, source in source_code.of_component(entry.component).items()}
    for distribution in {entry.distribution for entry in provided.values()}:
        for requirement in metadata.requires(distribution) or ():
            name = re.split(r"[^\w.-]", requirement)[0]
            if version := installed_version(name):
                versions.add(f"{name} {version}")
    return sorted(versions)


def _machine(device: str) -> list[str | int]:
    """List the properties of the machine that affect speed."""
    return [
        devices.accelerator_name(device),
        platform.machine(),
        devices.cpu_name(),
        torch.backends.cpu.get_cpu_capability(),
        cores.usable(),
        torch.get_num_threads(),
    ]
