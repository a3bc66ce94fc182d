"""The same command in several processes."""

from __future__ import annotations

import sys


def launched(processes: int, device: str) -> int:
    """The exit code of this process's command, done by several processes."""
    from lowvision.system.processes import launch

    return launch(_words_without("--processes"), processes, device)


def _words_without(option: str) -> list[str]:
    """The words of this process's command without an option and its value."""
    words = sys.argv[1:]
    kept = [word for word in words if not word.startswith(f"{option}=")]
    if option in kept:
        at = kept.index(option)
        del kept[at : at + 2]
    return kept
