"""Claims about `lowvision check`."""

from __future__ import annotations

from pathlib import Path

from cli.saying import Say


def test_check_accepts_a_valid_recipe(say: Say, recipe: Path) -> None:
    said = say("check", str(recipe))
    assert (said.code, said.out, said.err) == (0, f"{recipe}: nothing wrong\n", "")


def test_check_reports_every_error_without_a_traceback(say: Say, recipe: Path) -> None:
    said = say("check", str(recipe), "sede=1", "stages.base.steps=0")
    assert said.code == 2
    assert said.out == ""
    assert said.err.splitlines() == [
        "command line: stages.base.steps: must be at least 1, not 0",
        "command line: sede: unknown key (did you mean 'seed'?)",
    ]


def test_check_applies_overrides_and_prints_a_valid_recipe(say: Say, recipe: Path) -> None:
    resolved = say("check", str(recipe), "stages.base.steps=7", "--resolved").out
    assert "steps: 7" in resolved
    recipe.write_text(resolved)
    assert say("check", str(recipe), "--resolved").out == resolved


def test_a_missing_recipe_is_reported(say: Say) -> None:
    said = say("check", "nope.yml")
    assert (said.code, said.err) == (2, "nope.yml: no such file\n")


def test_check_accepts_the_name_of_a_shipped_recipe(say: Say) -> None:
    said = say("check", "sr_carn")
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("sr_carn.yml: nothing wrong\n")
    said = say("check", "sr_carnn")
    assert said.code == 2
    assert said.err.endswith("did you mean 'sr_carn'?\n")
