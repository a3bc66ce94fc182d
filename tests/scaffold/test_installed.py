"""Claims about rendered plugins as users have them: installed with the framework, used, and uninstalled.

One plugin of each kind, in a clean environment with only the packages of the running one.
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
import tiny

from lowvision import scaffold
from lowvision.plugins import registry
from lowvision.training.log import read_metrics

pytest.importorskip("hatchling")
pytest.importorskip("pip")
pytestmark = pytest.mark.timeout(900)  # two tests do the work of nine plugins each, on a loaded machine in minutes

TINY = [
    "data={train: PHOTOS/train, valid: PHOTOS/valid, test: PHOTOS/valid, valid_tiles: 4, workers: 0}",
    "tile={size: 16, overlap: 4}",
    "stages.base.steps=2",
    "stages.base.batch=2",
    "stages.rank={limit: 20}",
    "stages.branches={steps: 2, batch: 2}",
    "stages.classifier={ranked_steps: 2, steps: 2, batch: 4}",
    "stages.joint={steps: 2, batch: 4}",
]
"""Overrides by which an example runs in seconds instead of minutes."""
RUN_ALL = """
import gc, sys
from lowvision.cli import app
runs, shared, recipes = sys.argv[1], sys.argv[2].split("|"), sys.argv[3:]
for recipe in recipes:
    gc.freeze()  # Accelerate collects after each stage: pass over what the run before has imported
    name = recipe.split("/")[-2]
    own = ["data.train={acme_dataset: {count: 3, side: 96}}"] if name.endswith("dataset") else []
    overrides = [*shared, *own]
    app(["run", recipe, *overrides, "--runs", runs, "--name", name, "--device", "cpu"], standalone_mode=False)
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees the packages of the running one, without the network."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"

    def run(self, *words: str, cwd: Path | None = None) -> str:
        """Run `python ARGUMENTS` in the environment and return its output."""
        done = subprocess.run([self.python, *words], cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words[:6])}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def lowvision(self, *words: str) -> Any:
        """Run a command with --json and return its document."""
        return json.loads(self.run("-m", "lowvision", *words, "--json"))

    def files(self) -> set[str]:
        """List its files, without byte code."""
        paths = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*"))
        return {path for path in paths if "__pycache__" not in path}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Create an environment without the tested plugins."""
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
    """List the files of the environment before the installation."""
    return environment.files()


@pytest.fixture(scope="module")
def plugins(environment: Environment, files_before: set[str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Render and install a plugin of each kind, and return their folders."""
    output, known = tmp_path_factory.mktemp("rendered"), registry.load()
    folders = [scaffold.render(f"lowvision-acme-{kind}", kind, output, known).folder for kind in scaffold.KINDS]
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
    environment.run("-m", "pip", "install", *offline, *map(str, folders))
    return folders


@pytest.fixture(scope="module")
def kinds(environment: Environment, plugins: list[Path]) -> Any:
    """Return the output of `lowvision ls` with the plugins installed."""
    return environment.lowvision("ls")


def recipe_of(folder: Path) -> str:
    """Return the recipe of a plugin, named like its component, so that two plugins have two run folders."""
    return f"{folder.name}/{folder.name.removeprefix('lowvision-').replace('-', '_')}"


@pytest.mark.parametrize(("component", "kind"), scaffold.KINDS.items())
def test_a_plugin_is_listed_with_its_distribution(component: str, kind: str, kinds: Any) -> None:
    (entry,) = [entry for entry in kinds[kind] if entry["name"] == f"acme_{component}"]
    assert (entry["distribution"], entry["version"]) == (f"lowvision-acme-{component}", "0.1.0")


def test_the_recipe_of_a_plugin_is_listed_by_name(plugins: list[Path], kinds: Any) -> None:
    recipe_names = [recipe["name"] for recipe in kinds["recipes"]]
    assert {recipe_of(folder) for folder in plugins} <= set(recipe_names)


def test_the_tests_of_a_plugin_pass(environment: Environment, plugins: list[Path]) -> None:
    folders = [str(folder / "tests") for folder in plugins]
    output = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", *folders, cwd=plugins[0].parent)
    assert "passed" in output
    assert "skipped" not in output
    assert all((folder / "tests").is_dir() for folder in plugins)


def test_the_example_of_a_plugin_runs_to_the_report(
    environment: Environment, plugins: list[Path], tmp_path: Path
) -> None:
    tiny.write_photographs(tmp_path / "photos")
    overrides = "|".join(TINY).replace("PHOTOS", str(tmp_path / "photos"))
    recipes = [recipe_of(folder) for folder in plugins]
    environment.run("-c", RUN_ALL, str(tmp_path / "runs"), overrides, *recipes)
    for kind, folder in zip(scaffold.KINDS, plugins, strict=True):
        run = tmp_path / "runs" / folder.name
        document = json.loads((run / "report.json").read_text())
        (tested,) = document["sets"]
        scale = 1 if kind == "task" else 2
        assert tested["mean"]["routed"][f"psnr_rgb@crop{scale if scale > 1 else 0}"] > 5
        assert (run / "joint" / "last.safetensors").is_file()
        if kind == "loss":
            assert any("image/acme_loss" in entry for entry in read_metrics(run))
        if kind == "metric":
            assert tested["mean"]["routed"]["acme_metric@crop2"] > 0
            assert any("valid_acme_metric" in entry for entry in read_metrics(run))
        if kind == "observer":
            assert {"base", "joint"} <= json.loads((run / "acme_observer.json").read_text()).keys()
        if kind == "dataset":
            assert "acme_dataset" in (run / "recipe.resolved.yml").read_text()


def test_uninstalling_a_plugin_leaves_no_files(
    environment: Environment, plugins: list[Path], files_before: set[str]
) -> None:
    names = [folder.name for folder in plugins]
    environment.run("-m", "pip", "uninstall", "--yes", "--quiet", "--disable-pip-version-check", *names)
    assert environment.files() == files_before
    listing = json.dumps([environment.lowvision("ls"), environment.lowvision("plugins")])
    assert "acme" not in listing
    assert "lowvision-sr" in listing
