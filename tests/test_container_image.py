"""Claims about the Dockerfile that need no Docker: copied paths and commands exist, and the user is not root."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import typer.main

from lowvision import cli

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
STEPS = [
    (line.split()[0], line.partition(" ")[2].strip()) for line in TEXT.splitlines() if line and line[0] not in "# "
]


def steps(kind: str) -> list[str]:
    return [rest for instruction, rest in STEPS if instruction == kind]


def test_every_copied_path_exists_and_is_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {name for rest in steps("COPY") if "--from" not in rest for name in rest.split()[:-1]}
    assert sources == allowed
    assert all((ROOT / name).exists() for name in sources)
    assert {"readme", "license-files"} <= tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].keys()


def test_every_installed_extra_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (installed,) = re.findall(r'"\.\[([\w,]+)\]"', TEXT)
    assert set(installed.split(",")) <= extras.keys()


def test_the_image_does_not_run_as_root() -> None:
    user = steps("USER")[-1].partition(":")[0]
    assert int(user) > 0
    assert [instruction for instruction, _ in STEPS].index("USER") < [instruction for instruction, _ in STEPS].index(
        "ENTRYPOINT"
    )


def test_the_image_command_is_a_lowvision_command() -> None:
    assert json.loads(steps("ENTRYPOINT")[0]) == ["lowvision"]
    name, *arguments = json.loads(steps("CMD")[0])
    command = typer.main.get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {instruction for instruction in arguments if instruction.startswith("--")} <= options
    assert shlex.join(arguments) == "--host 0.0.0.0"


def test_base_images_are_pinned_and_slim() -> None:
    assert all(":" in image and "latest" not in image for image in steps("FROM"))
    assert all("-slim" in image for image in steps("FROM"))
    assert "pip install" not in TEXT.replace("pip install --no-cache-dir", "")
