"""Claims about `lowvision new-plugin`; tests/scaffold checks the files that it writes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from cli.command_result import RunCommand, imports

NAME = "lowvision-two-words"


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder and return it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.mark.parametrize("kind", ["backbone", "reducer", "classifier", "task"])
def test_new_plugin_prints_the_folder_and_the_next_steps(
    run_command: RunCommand, working_folder: Path, kind: str
) -> None:
    result = run_command("new-plugin", NAME, "--kind", kind)
    assert (result.code, result.err) == (0, "")
    first, *steps = result.out.splitlines()
    assert first == f"{NAME}: a working {kind} named two_words; next:"
    assert [line.strip() for line in steps] == [
        f"cd {NAME}",
        "pip install -e '.[test]'",
        "pytest",
        f"lowvision run {NAME}/two_words",
    ]
    assert (working_folder / NAME / "lowvision_two_words" / "recipes" / "two_words.yml").is_file()


def test_new_plugin_writes_to_the_output_option_and_prints_json(run_command: RunCommand, working_folder: Path) -> None:
    result = run_command("new-plugin", NAME, "--kind", "task", "-o", "some/where", "--json")
    folder = os.path.join("some", "where", NAME)
    assert json.loads(result.out) == {"folder": folder, "kind": "task", "name": "two_words"}
    assert (working_folder / folder / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["two-words", "--kind", "task"],
            "'two-words': is no valid plugin name; give lowvision- and .* e.g. lowvision-tw",
        ),
        (
            ["lowvision-carn", "--kind", "backbone"],
            "backbone 'carn': exists already, provided by lowvision-sr; choose another",
        ),
        ([NAME, "--kind", "runtime"], "'runtime' is not one of 'backbone', 'reducer', 'classifier', 'task'"),
        ([NAME], "Missing option '--kind'"),
        (["--kind", "task"], "Missing argument 'NAME'"),
    ],
)
def test_invalid_arguments_are_reported_and_write_nothing(
    run_command: RunCommand, working_folder: Path, arguments: list[str], message: str
) -> None:
    result = run_command("new-plugin", *arguments)
    assert (result.code, result.out) == (2, "")
    assert re.search(message, " ".join(result.err.split()))
    assert "Value error" not in result.err  # pydantic's words
    assert list(working_folder.iterdir()) == []


def test_an_existing_folder_is_not_changed(run_command: RunCommand, working_folder: Path) -> None:
    (working_folder / NAME).mkdir()
    result = run_command("new-plugin", NAME, "--kind", "task")
    assert (result.code, result.err) == (2, f"{NAME}: exists already; give another name, or --output DIR\n")
    assert list((working_folder / NAME).iterdir()) == []


def test_help_describes_every_argument(run_command: RunCommand) -> None:
    result = run_command("new-plugin", "--help")
    assert result.code == 0
    for text in ("NAME", "--kind", "backbone|reducer|classifier|task", "--output", "--json", "lowvision-acme"):
        assert text in result.out


def test_new_plugin_does_not_import_torch() -> None:
    assert not imports("new-plugin", NAME, "--kind", "backbone") & {"torch", "timm", "cv2"}
