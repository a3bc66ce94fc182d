"""Worker process that measures one row: it receives a job, warms up, and does one timed run per request.

`python -m lowvision.bench.worker` reads lines of JSON: the job, then `{}` for each run. It answers each with a line of
JSON and exits at the end of its input.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lowvision.bench import methods, networks, vitals
from lowvision.bench.job import Job, Method, Tiles
from lowvision.bench.rows import Row
from lowvision.errors import LowvisionError, summary_of
from lowvision.plugins import registry
from lowvision.system import devices
from lowvision.system.out_of_memory import is_out_of_memory

Answer = Mapping[str, Any]
"""Content of a line: the measurement, or the reason as `failed`."""


def main() -> None:
    """Answer requests until the end of the input or the first failure."""
    answer = _answer_stream()
    vitals.prefer_oom_kill()
    try:
        job = _job(json.loads(sys.stdin.readline()))
        method = methods.prepare(job)
        loaded = vitals.resident_mib()
        method.run()  # compiles and fills caches
        answer(
            {
                "rss_before_mib": loaded,
                "peak_rss_mib": vitals.peak_rss_mib(),
                "device_peak_mib": devices.peak_memory(job.device) / vitals.MIB,
                "gmac": method.cost() / 1e9,
                **method.facts(),
            }
        )
        for _ in sys.stdin:
            answer(_measured(method, job.device))
    except Exception as error:  # a plugin's runtime may raise anything; only this row fails
        answer({"failed": _reason(error)})


def _job(request: Mapping[str, Any]) -> Job:
    components, weights = registry.load(), Path(request["weights"])
    return Job(
        row=Row(**request["row"]),
        image=torch.from_numpy(np.load(request["image"])),
        parts=networks.read(weights, components),
        registry=components,
        shares=request["shares"] and tuple(request["shares"]),
        tiles=request["tiles"] and Tiles(**request["tiles"]),
        device=request.get("device", "cpu"),
    )


def _measured(method: Method, device: str) -> Answer:
    """Measure one timed run, to the end of the work that an accelerator has queued."""
    devices.synchronize(device)
    other_load = vitals.OtherLoad()
    began = time.perf_counter()
    method.run()
    devices.synchronize(device)
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "other_cores": other_load.cores(),
        "peak_rss_mib": vitals.peak_rss_mib(),
        "device_peak_mib": devices.peak_memory(device) / vitals.MIB,
        **method.facts(),
    }


def _answer_stream() -> Callable[[Answer], None]:
    """Return a function that prints answers; the output of libraries is redirected to stderr."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return lambda answer: print(json.dumps(answer), file=out, flush=True)


def _reason(error: Exception) -> str:
    if isinstance(error, LowvisionError):
        return str(error)
    if is_out_of_memory(error):
        return "out of memory"
    return summary_of(error)


if __name__ == "__main__":
    main()
