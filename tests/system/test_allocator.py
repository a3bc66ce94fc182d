"""Claims about freed memory: a process keeps it, in every thread."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, threading
from lowvision.system.allocator import keep_memory
if sys.argv[1] == "kept":
    keep_memory()

def work():
    for _ in range(20):
        bytearray(100 * 2**20)  # zeroed: each of its pages is written

thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(how: str) -> int:
    """Return the number of pages that the kernel had to clear for a process that frees 20 large blocks in a thread."""
    return int(subprocess.run([sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone returns memory this way")
def test_pages_of_freed_memory_are_used_again_in_a_thread() -> None:
    assert faults("kept") < faults("returned") / 4
