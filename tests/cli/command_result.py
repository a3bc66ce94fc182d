"""Results of commands in tests: exit code, output, and imported modules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable


class CommandResult:
    """Exit code and output of a command."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err


RunCommand = Callable[..., CommandResult]
"""Runs the command line with these arguments."""


def imports(*arguments: str) -> set[str]:
    """Return the modules that a command imports."""
    program = (
        "import sys; from lowvision import cli\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True)
    return set(done.stderr.split())
