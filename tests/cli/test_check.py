"""Claims about `lowvision check`."""

from __future__ import annotations

from pathlib import Path

import tiny

from cli.command_result import RunCommand


def test_check_accepts_a_valid_recipe(run_command: RunCommand, recipe: Path) -> None:
    result = run_command("check", str(recipe))
    assert (result.code, result.out, result.err) == (0, f"{recipe}: nothing wrong\n", "")


def test_check_reports_every_error_without_a_traceback(run_command: RunCommand, recipe: Path) -> None:
    result = run_command("check", str(recipe), "sede=1", "stages.base.steps=0")
    assert result.code == 2
    assert result.out == ""
    assert result.err.splitlines() == [
        "command line: stages.base.steps: must be at least 1, not 0",
        "command line: sede: unknown key (did you mean 'seed'?)",
    ]


def test_check_applies_overrides_and_prints_a_valid_recipe(run_command: RunCommand, recipe: Path) -> None:
    resolved = run_command("check", str(recipe), "stages.base.steps=7", "--resolved").out
    assert "steps: 7" in resolved
    recipe.write_text(resolved)
    assert run_command("check", str(recipe), "--resolved").out == resolved


def test_a_missing_recipe_is_reported(run_command: RunCommand) -> None:
    result = run_command("check", "nope.yml")
    assert (result.code, result.err) == (2, "nope.yml: no such file\n")


def test_check_accepts_the_name_of_a_shipped_recipe(run_command: RunCommand) -> None:
    result = run_command("check", "sr_carn")
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("sr_carn.yml: nothing wrong\n")
    result = run_command("check", "sr_carnn")
    assert result.code == 2
    assert result.err.endswith("did you mean 'sr_carn'?\n")


def test_check_warns_about_a_costly_classifier(run_command: RunCommand, tmp_path: Path) -> None:
    recipe = tiny.write_recipe(tmp_path)
    result = run_command("check", str(recipe), "--build")
    assert (result.code, result.out) == (0, f"{recipe}: nothing wrong\n")
    assert result.err.startswith("classifier: costs ")
