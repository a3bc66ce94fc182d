"""A process that measures one row: it gets a job, warms up, and does one timed run whenever it is asked.

`python -m lowvision.bench.worker` reads lines of JSON: the job, then `{}` for each run; it answers each with a line.
It ends with its input.
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

from lowvision.bench import networks, vitals, ways
from lowvision.bench.job import Job, Tiles, Way
from lowvision.bench.rows import Row
from lowvision.errors import LowvisionError, summary_of
from lowvision.plugins import registry
from lowvision.routing.memory import is_out_of_memory

Answer = Mapping[str, Any]
"""What a line holds: `failed`, the reason; or what was measured."""


def main() -> None:
    """Answer until nobody asks any more; after a failure only that is told."""
    answer = _way_out()
    vitals.prefer_oom_kill()
    try:
        way = ways.prepare(_job(json.loads(sys.stdin.readline())))
        loaded = vitals.resident()
        way.run()  # compiles what has to be, and fills caches
        answer({"rss_before_mib": loaded, "peak_rss_mib": vitals.peak(), "gmac": way.cost() / 1e9, **way.facts()})
        for _ in sys.stdin:
            answer(_measured(way))
    except Exception as error:  # whatever a stranger's runtime raises is told, and costs this row alone
        answer({"failed": _reason(error)})


def _job(said: Mapping[str, Any]) -> Job:
    known, weights = registry.load(), Path(said["weights"])
    return Job(
        row=Row(**said["row"]),
        image=torch.from_numpy(np.load(said["image"])),
        parts=networks.read(weights, known),
        registry=known,
        shares=said["shares"] and tuple(said["shares"]),
        tiles=said["tiles"] and Tiles(**said["tiles"]),
    )


def _measured(way: Way) -> Answer:
    """One timed run."""
    strangers = vitals.OtherLoad()
    began = time.perf_counter()
    way.run()
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "other_cores": strangers.cores(),
        "peak_rss_mib": vitals.peak(),
        **way.facts(),
    }


def _way_out() -> Callable[[Answer], None]:
    """Writes answers; what libraries print goes where errors go, so that it cannot come between."""
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
