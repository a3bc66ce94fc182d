"""Peak memory of a restore above that of the loaded process.

    python benchmarks/memory.py WEIGHTS PHOTO RUNTIME

Loads the weights, restores a corner of the photograph to load and compile everything, then restores the whole
photograph, and prints Linux's VmRSS before and VmHWM after. The memory of the photograph itself counts as used by the
restore.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import lowvision
from lowvision.imaging import io
from lowvision.models import pretrained
from lowvision.plugins import registry

CORNER = 256


def main() -> None:
    weights, photo, runtime = sys.argv[1:]
    network = lowvision.load(pretrained.find(Path(weights), registry.load()), device="cpu", runtime=runtime)
    image = io.read(photo).pixels
    network.restore(image[:CORNER, :CORNER])
    loaded, began = mebibytes("VmRSS"), time.perf_counter()
    restored = network.restore(image)
    seconds, peak = time.perf_counter() - began, mebibytes("VmHWM")
    print(
        f"{image.shape[1]}x{image.shape[0]} {runtime}: loaded {loaded:.0f} MiB, peak {peak:.0f}, above "
        f"{peak - loaded:.0f}, of which the result {restored.image.nbytes / 2**20:.0f}; {seconds:.1f} s"
    )


def mebibytes(name: str) -> float:
    """Return a memory figure of this process from /proc/self/status, in MiB."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
