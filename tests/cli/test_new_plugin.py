"""Claims about `lowvision new-plugin`; tests/scaffold checks the files that it writes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from cli.saying import Say, imports

NAME = "lowvision-two-words"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the command is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.mark.parametrize("kind", ["backbone", "reducer", "classifier", "task"])
def test_new_plugin_prints_the_folder_and_the_next_steps(say: Say, here: Path, kind: str) -> None:
    said = say("new-plugin", NAME, "--kind", kind)
    assert (said.code, said.err) == (0, "")
    first, *words = said.out.splitlines()
    assert first == f"{NAME}: a working {kind} named two_words; next:"
    assert [line.strip() for line in words] == [
        f"cd {NAME}",
        "pip install -e '.[test]'",
        "pytest",
        f"lowvision run {NAME}/two_words",
    ]
    assert (here / NAME / "lowvision_two_words" / "recipes" / "two_words.yml").is_file()


def test_new_plugin_writes_to_the_output_option_and_prints_json(say: Say, here: Path) -> None:
    said = say("new-plugin", NAME, "--kind", "task", "-o", "some/where", "--json")
    folder = os.path.join("some", "where", NAME)
    assert json.loads(said.out) == {"folder": folder, "kind": "task", "name": "two_words"}
    assert (here / folder / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("words", "told"),
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
def test_invalid_arguments_are_reported_and_write_nothing(say: Say, here: Path, words: list[str], told: str) -> None:
    said = say("new-plugin", *words)
    assert (said.code, said.out) == (2, "")
    assert re.search(told, " ".join(said.err.split()))
    assert list(here.iterdir()) == []


def test_an_existing_folder_is_not_changed(say: Say, here: Path) -> None:
    (here / NAME).mkdir()
    said = say("new-plugin", NAME, "--kind", "task")
    assert (said.code, said.err) == (2, f"{NAME}: exists already; give another name, or --output DIR\n")
    assert list((here / NAME).iterdir()) == []


def test_help_describes_every_argument(say: Say) -> None:
    said = say("new-plugin", "--help")
    assert said.code == 0
    for word in ("NAME", "--kind", "backbone|reducer|classifier|task", "--output", "--json", "lowvision-acme"):
        assert word in said.out


def test_new_plugin_does_not_import_torch() -> None:
    assert not imports("new-plugin", NAME, "--kind", "backbone") & {"torch", "timm", "cv2"}
