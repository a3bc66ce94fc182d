"""Kill `lowvision restore` and `lowvision run`, run them again to their end, and compare with undisturbed results."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tiny

from lowvision.imaging import io
from lowvision.imaging.io import Image

COUNT = 40
"""Images of a folder."""


@dataclass(frozen=True)
class Kind:
    """A command with its inputs."""

    prepare: Callable[[Path], None]
    """Writes the inputs into a folder."""
    command: Callable[[Path, Path], list[str]]
    """Returns the arguments for a folder of inputs and one of results."""
    results: tuple[str, ...]
    """Patterns of the files that must be the same after a kill."""


def _prepare_images(folder: Path) -> None:
    tiny.write_weights(folder / "w.safetensors", tiny.architecture())
    for n in range(COUNT):
        picture = np.random.default_rng(n).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        io.write(folder / "in" / f"{n:02}{('.png', '.tif')[n % 2]}", Image(picture))


def _restore(folder: Path, output: Path, *more: str) -> list[str]:
    fixed = ("--runtime", "torch", "--device", "cpu", "--skip-existing")
    return ["restore", str(folder / "in"), "-o", str(output), "-m", str(folder / "w.safetensors"), *fixed, *more]


def _prepare_recipe(folder: Path) -> None:
    tiny.write_recipe(folder)


def _train(folder: Path, output: Path, *more: str) -> list[str]:
    return ["run", str(folder / "tiny.yml"), "--runs", str(output), "--name", "run", "--device", "cpu", *more]


TWO = ("--processes", "2")
WEIGHTS = ("run/*/last.safetensors", "run/branches/*/last.safetensors")
KINDS = {
    "restore": Kind(_prepare_images, _restore, ("*",)),
    "restore-2": Kind(_prepare_images, lambda *folders: _restore(*folders, *TWO), ("*",)),
    "run": Kind(_prepare_recipe, _train, WEIGHTS),
    "run-2": Kind(_prepare_recipe, lambda *folders: _train(*folders, *TWO), WEIGHTS),
}


def run(kinds: list[str], seed: int, seconds: float, folder: Path) -> tuple[dict[str, int], list[str]]:
    """Kill commands of each kind in turn; return the counts by kind, and what went wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    counts, failures, draw = dict.fromkeys(kinds, 0), list[str](), random.Random(seed)
    ends, expected = time.monotonic() + seconds, {}
    for kind in kinds:
        KINDS[kind].prepare(folder / kind)
        expected[kind] = _undisturbed(KINDS[kind], folder / kind)
    while time.monotonic() < ends:
        for kind in kinds:
            whole, took = expected[kind]
            counts[kind] += 1
            if problem := _attempt(KINDS[kind], folder / kind, whole, draw.uniform(0, took)):
                failures.append(f"{kind}, kill {counts[kind]}: {problem}")
    return counts, failures


def _undisturbed(kind: Kind, folder: Path) -> tuple[dict[str, bytes], float]:
    began = time.monotonic()
    if problem := _finish(kind, folder, folder / "undisturbed"):
        raise RuntimeError(problem)
    return _contents(kind, folder / "undisturbed"), time.monotonic() - began


def _attempt(kind: Kind, folder: Path, expected: dict[str, bytes], delay: float) -> str:
    """Kill a command after a delay, run it again to its end, and return what differs; empty if nothing does."""
    output = folder / "killed"
    shutil.rmtree(output, ignore_errors=True)
    with subprocess.Popen(_words(kind, folder, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        time.sleep(delay)
        killed.kill()
    left = {name: content for name, content in _contents(kind, output).items() if expected.get(name) != content}
    if left and kind.results == ("*",):
        return f"half-written after {delay:.1f} s: {sorted(left)}"
    if problem := _finish(kind, folder, output):
        return problem
    contents = _contents(kind, output)
    if different := sorted(
        name for name in expected.keys() | contents.keys() if expected.get(name) != contents.get(name)
    ):
        return f"different after a kill at {delay:.1f} s: {different}"
    hidden = sorted(path.name for path in output.rglob(".*"))
    return f"left after a kill at {delay:.1f} s: {hidden}" if hidden else ""


def _finish(kind: Kind, folder: Path, output: Path) -> str:
    """Run a command to its end; return the end of its output if it failed."""
    done = subprocess.run(_words(kind, folder, output), capture_output=True, text=True, check=False)
    return f"exit code {done.returncode}: {done.stderr[-500:]}" if done.returncode else ""


def _words(kind: Kind, folder: Path, output: Path) -> list[str]:
    return [sys.executable, "-m", "lowvision", *kind.command(folder, output)]


def _contents(kind: Kind, output: Path) -> dict[str, bytes]:
    """Return the visible results by name."""
    paths = [path for pattern in kind.results for path in output.glob(pattern)]
    return {str(p.relative_to(output)): p.read_bytes() for p in paths if p.is_file() and not p.name.startswith(".")}
