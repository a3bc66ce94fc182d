"""Check a plugin's module against lowvision's requirements."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("torch", "timm", "cv2", "numpy", "scipy")
"""Modules that are slow to import and must be imported inside methods."""
PROGRAM = """
import json, sys
module, heavy = sys.argv[1], sys.argv[2:]
from lowvision.plugins.entry_points import Plugin, installed, misnamed, misplaced
from lowvision.plugins.registry import Registry
before = set(sys.modules)
known = Registry([Plugin(module, module, "")])
loaded = sorted(set(heavy) & (set(sys.modules) - before))
offers = {kind: sorted(provided) for kind, provided in known.items() if provided}
plugins = {plugin.module: plugin for plugin in installed()}
others = [plugin for plugin in plugins.values() if plugin.module != module]
everything = Registry([*others, plugins.get(module, Plugin(module, module, ""))])
print(json.dumps({
    "broken": [broken.reason for broken in known.broken],
    "groups": [point.group for point in misplaced() if point.module == module],
    "misnamed": None if module in plugins else misnamed(module),
    "loaded": loaded,
    "clashes": [everything.claim(kind, name) for kind, name in everything.clashes if name in known[kind]],
    "offers": offers,
}))
"""


def check_plugin(module: str) -> dict[str, list[str]]:
    """Check an importable module that an entry point names, and return its components' names by kind.

    Checks, in a new process: the module can be imported; hooks are marked, have correct names and return classes of
    their kinds with valid names; no heavy module is imported; an entry point of the module, or of a similar name, is in
    group `lowvision` and names it, if it is installed at all; no other installed plugin provides a component of the
    same name. Raises AssertionError at the first failure.
    """
    arguments = [sys.executable, "-c", PROGRAM, module, *HEAVY]
    answer = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise AssertionError(f"{module}: importing it ends the process: {answer.stderr.strip()[-300:]}")
    result = json.loads(answer.stdout.splitlines()[-1])
    if result["broken"]:
        raise AssertionError(f"{module}: {result['broken'][0]}")
    if result["loaded"]:
        raise AssertionError(
            f"{module}: imports {', '.join(result['loaded'])} at import time; import them inside methods (and under "
            "TYPE_CHECKING for annotations), so that `lowvision ls` and `lowvision check` start fast"
        )
    if result["groups"]:
        raise AssertionError(
            f"{module}: its entry point is in group '{result['groups'][0]}', which is not read; write "
            "[project.entry-points.lowvision] in pyproject.toml, and install it again"
        )
    if result["misnamed"]:
        raise AssertionError(
            f"{module}: its entry point names '{result['misnamed']}', which does not exist; write '{module}' in "
            "pyproject.toml, and install it again"
        )
    if result["clashes"]:
        raise AssertionError(f"{module}: {result['clashes'][0]}; neither can be used: choose another name")
    offers: dict[str, list[str]] = result["offers"]
    return offers
