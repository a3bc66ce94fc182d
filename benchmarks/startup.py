"""Duration of commands that do not import torch: minimum, median and maximum of seven runs in sequence.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import time

COMMANDS = ("--help", "ls", "plugins", "check sr_carn")
ROUNDS = 7


def main() -> None:
    for command in COMMANDS:
        seconds = sorted(_seconds(command) for _ in range(ROUNDS))
        print(f"lowvision {command:14} {seconds[0]:.2f} / {statistics.median(seconds):.2f} / {seconds[-1]:.2f}")


def _seconds(command: str) -> float:
    began = time.perf_counter()
    subprocess.run(["lowvision", *command.split()], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
