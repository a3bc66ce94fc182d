"""Processor seconds of commands that do not import torch: minimum, median and maximum of seven runs in sequence.

Processor time, user and system, depends less than elapsed time on what else the machine does.

python benchmarks/startup.py
"""

from __future__ import annotations

import os
import statistics
import subprocess

COMMANDS = ("--help", "ls", "plugins", "check sr_carn")
ROUNDS = 7


def main() -> None:
    for command in COMMANDS:
        seconds = sorted(_seconds(command) for _ in range(ROUNDS))
        print(f"lowvision {command:14} {seconds[0]:.2f} / {statistics.median(seconds):.2f} / {seconds[-1]:.2f}")


def _seconds(command: str) -> float:
    before = os.times()
    subprocess.run(["lowvision", *command.split()], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main()
