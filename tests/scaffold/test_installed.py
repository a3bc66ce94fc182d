"""Claims about rendered plugins where their users have them: installed beside the framework, listed, and uninstalled.

One of each kind, in a clean environment whose only other packages are those that these tests run with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lowvision import registry, scaffold

pytest.importorskip("hatchling")
pytest.importorskip("pip")


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees the packages of the running one, without the network."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"

    def run(self, *words: str, cwd: Path | None = None) -> str:
        """What `python WORDS` prints in it."""
        done = subprocess.run([self.python, *words], cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words[:6])}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def lowvision(self, *words: str) -> Any:
        """The document that a command answers."""
        return json.loads(self.run("-m", "lowvision", *words, "--json"))

    def files(self) -> set[str]:
        """What is in it, without what Python itself leaves where it has imported."""
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*"))
        return {path for path in found if "__pycache__" not in path}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A new one, in which the plugins that are tested have never been."""
    folder = tmp_path_factory.mktemp("clean") / "environment"
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    (own,) = folder.rglob("site-packages")
    # A line of code, because a mere path would not let editable packages of the running environment be found.
    beside = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})" for path in sorted(beside)]
    (own / "beside.pth").write_text("\n".join(lines) + "\n")
    return Environment(folder)


@pytest.fixture(scope="module")
def files_before(environment: Environment) -> set[str]:
    """What was in the environment before anything was installed."""
    return environment.files()


@pytest.fixture(scope="module")
def plugins(environment: Environment, files_before: set[str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of a rendered plugin of each kind, all of which are installed."""
    output, known = tmp_path_factory.mktemp("rendered"), registry.load()
    folders = [scaffold.render(f"lowvision-acme-{kind}", kind, output, known).folder for kind in scaffold.KINDS]
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
    environment.run("-m", "pip", "install", *offline, *map(str, folders))
    return folders


@pytest.fixture(scope="module")
def menus(environment: Environment, plugins: list[Path]) -> Any:
    """What `lowvision ls` tells while they are installed."""
    return environment.lowvision("ls")


@pytest.mark.parametrize(("kind", "menu"), scaffold.KINDS.items())
def test_it_is_listed_with_its_distribution(kind: str, menu: str, menus: Any) -> None:
    (entry,) = [entry for entry in menus[menu] if entry["name"] == f"acme_{kind}"]
    assert (entry["distribution"], entry["version"]) == (f"lowvision-acme-{kind}", "0.1.0")


def test_uninstalled_it_leaves_no_trace(environment: Environment, plugins: list[Path], files_before: set[str]) -> None:
    names = [folder.name for folder in plugins]
    environment.run("-m", "pip", "uninstall", "--yes", "--quiet", "--disable-pip-version-check", *names)
    assert environment.files() == files_before
    told = json.dumps([environment.lowvision("ls"), environment.lowvision("plugins")])
    assert "acme" not in told
    assert "lowvision-sr" in told
