"""`lowvision ls`."""

from __future__ import annotations

from typing import Annotated

import typer

from lowvision.cli.answers import print_json
from lowvision.cli.words import AsJson
from lowvision.errors import RecipeError


def ls(
    menu: Annotated[str | None, typer.Argument(help="One menu: tasks, backbones, ...")] = None, as_json: AsJson = False
) -> None:
    """List what recipes can name, and what can run a network."""
    from lowvision import hookspecs, listing, registry

    if menu is not None and menu not in hookspecs.MENUS:
        raise RecipeError(f"no menu '{menu}'; there are {', '.join(hookspecs.MENUS)}")
    known = registry.load()
    if as_json:
        print_json(listing.menus(known, menu))
    else:
        typer.echo("\n".join(listing.menu_lines(known, menu)))
    for broken in known.broken:
        typer.echo(f"plugin {broken.plugin} failed to load: {broken.reason}", err=True)
