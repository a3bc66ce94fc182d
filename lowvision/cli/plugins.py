"""`lowvision plugins`."""

from __future__ import annotations

import typer

from lowvision.cli.answers import print_json
from lowvision.cli.words import AsJson


def plugins(as_json: AsJson = False) -> None:
    """List the installed plugins, the broken ones with the reason."""
    from lowvision.commands import listing
    from lowvision.plugins import registry

    known = registry.load()
    if as_json:
        print_json(listing.plugins(known))
    else:
        typer.echo("\n".join(listing.plugin_lines(known)))
