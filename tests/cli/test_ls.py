"""Claims about `lowvision ls`."""

from __future__ import annotations

from cli.saying import Say
from lowvision.hookspecs import MENUS


def test_ls_lists_a_menu(say: Say) -> None:
    lines = say("ls", "backbones").out.splitlines()
    assert lines[0] == "backbones:"
    assert any(line.split()[0] == "carn" and line.endswith("(lowvision-sr)") for line in lines[1:])


def test_a_menu_that_there_is_not_is_told_with_those_that_there_are(say: Say) -> None:
    said = say("ls", "tsks")
    assert said.code == 2
    assert said.err == f"no menu 'tsks'; there are {', '.join(MENUS)}\n"
