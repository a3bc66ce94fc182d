"""`lowvision ls`."""

from __future__ import annotations

from typing import Annotated

import typer

from lowvision.cli.answers import print_json
from lowvision.cli.words import AsJson
from lowvision.errors import UsageError


def _menus() -> list[str]:
    """What can be listed, for a shell that completes words."""
    from lowvision.commands import listing

    return list(listing.LISTED)


def ls(
    kind: Annotated[
        str | None, typer.Argument(autocompletion=_menus, help="One menu: tasks, backbones, recipes, ...")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what recipes can name, what can run a network, and the recipes that are shipped."""
    from lowvision.commands import listing
    from lowvision.plugins import registry

    if kind is not None and kind not in listing.LISTED:
        raise UsageError(f"no menu '{kind}'; there are {', '.join(listing.LISTED)}")
    known = registry.load()
    if as_json:
        print_json(listing.kinds(known, kind))
    else:
        typer.echo("\n".join(listing.menu_lines(known, kind)))
    for fault in registry.faults(known):
        typer.echo(fault, err=True)
