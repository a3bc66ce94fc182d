"""Results of commands in tests: exit code, output, and imported modules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err


Say = Callable[..., Said]
"""Runs the command line with these arguments."""


def imports(*words: str) -> set[str]:
    """Return the modules that a command imports."""
    program = (
        "import sys; from lowvision import cli\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True, text=True)
    return set(done.stderr.split())
