"""Claims about `lowvision ls`."""

from __future__ import annotations

from cli.command_result import RunCommand
from lowvision.plugins import registry
from lowvision.plugins.hookspecs import KINDS
from lowvision.recipe.shipped import recipes


def test_ls_lists_the_components_of_a_kind(run_command: RunCommand) -> None:
    lines = run_command("ls", "backbones").out.splitlines()
    assert lines[0] == "backbones:"
    assert any(line.split()[0] == "carn" and line.endswith("(lowvision-sr)") for line in lines[1:])


def test_an_unknown_kind_is_an_error_that_lists_all_kinds(run_command: RunCommand) -> None:
    result = run_command("ls", "tsks")
    assert result.code == 2
    assert result.err == f"no kind 'tsks'; choose from {', '.join(KINDS)}, recipes\n"


def test_ls_lists_the_shipped_recipes(run_command: RunCommand) -> None:
    lines = run_command("ls", "recipes").out.splitlines()
    assert [line.split()[0] for line in lines] == ["recipes:", *recipes(registry.load())]
    assert any(line.split(maxsplit=1)[1].startswith("CARN x4 in three sizes") for line in lines[1:])


def test_ls_without_a_kind_lists_every_kind(run_command: RunCommand) -> None:
    lines = run_command("ls").out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [*(f"{kind}:" for kind in KINDS), "recipes:"]
