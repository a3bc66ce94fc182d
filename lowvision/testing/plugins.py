"""Holds a plugin's module against what lowvision asks of it."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("torch", "timm", "cv2", "numpy", "scipy")
"""What takes long to import, and so must wait until a method needs it."""
PROGRAM = """
import json, sys
module, heavy = sys.argv[1], sys.argv[2:]
from lowvision.plugins.registry import Plugin, Registry
before = set(sys.modules)
known = Registry([Plugin(module, module, "")])
loaded = sorted(set(heavy) & (set(sys.modules) - before))
offers = {kind: sorted(provided) for kind, provided in known.items() if provided}
print(json.dumps({"broken": [broken.reason for broken in known.broken], "loaded": loaded, "offers": offers}))
"""


def check_plugin(module: str) -> dict[str, list[str]]:
    """Hold a module against what lowvision asks of one that an entry point names; what it offers, by menus.

    It must be importable, as an installed one is. Checked, in a process of its own: it imports; hooks are marked, spelt
    right and return classes of their menus by well-formed names; nothing heavy is imported before a method needs it.
    Raises AssertionError for the first thing that is wrong.
    """
    words = [sys.executable, "-c", PROGRAM, module, *HEAVY]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise AssertionError(f"{module}: ends its process when it is imported: {answer.stderr.strip()[-300:]}")
    found = json.loads(answer.stdout.splitlines()[-1])
    if found["broken"]:
        raise AssertionError(f"{module}: {found['broken'][0]}")
    if found["loaded"]:
        raise AssertionError(
            f"{module}: imports {', '.join(found['loaded'])} at once; import them inside methods (and under "
            "TYPE_CHECKING for annotations), so that `lowvision ls` and `lowvision check` answer at once"
        )
    offers: dict[str, list[str]] = found["offers"]
    return offers
