"""Claims about errors of arguments: they are in plain words, regardless of the library that parses them."""

from __future__ import annotations

import pytest
import typer

from lowvision import cli


@pytest.mark.parametrize(
    "arguments",
    [("new-plugin", "lowvision-acme", "--kind", "window"), ("evaluate", "w.safetensors", ".", "--protocol", "mine")],
)
def test_an_unknown_choice_is_reported_in_plain_words(arguments: tuple[str, ...]) -> None:
    command = typer.main.get_command(cli.app)
    with pytest.raises(typer.BadParameter) as caught:
        command.main(list(arguments), standalone_mode=False)
    assert caught.value.message.startswith(f"'{arguments[-1]}' is not one of '")
