"""`lowvision plugins`."""

from __future__ import annotations

import typer

from lowvision.cli.output import print_json
from lowvision.cli.parameters import AsJson


def plugins(as_json: AsJson = False) -> None:
    """List the installed plugins and their components; for broken plugins, the reason."""
    from lowvision.commands import listing
    from lowvision.plugins import registry

    components = registry.load()
    if as_json:
        print_json(listing.plugins(components))
    else:
        typer.echo("\n".join(listing.plugin_lines(components)))
