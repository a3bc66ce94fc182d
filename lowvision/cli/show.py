"""`lowvision show`."""

from __future__ import annotations

from typing import Annotated

import typer

from lowvision.cli.answers import answer
from lowvision.cli.words import AsJson


def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What `lowvision ls` lists, a recipe, or a weights file.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Options of a network, as channels=36, or of a recipe."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Of the input for which cost is counted; else a tile.")
    ] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="For which a network is built; else the largest that it can have.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a name is: options, parameters, exact cost, and who provides it."""
    from lowvision.commands.show import names, page, wanted
    from lowvision.plugins import registry

    documents = names.documents(name, registry.load(), wanted.read(changes or (), size, scale))
    answer(documents, as_json, page.text)
