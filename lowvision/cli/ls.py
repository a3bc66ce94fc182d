"""`lowvision ls`."""

from __future__ import annotations

from typing import Annotated

import typer

from lowvision.cli.output import print_json
from lowvision.cli.parameters import AsJson
from lowvision.errors import UsageError


def _kinds() -> list[str]:
    """Return all kinds, for shell completion."""
    from lowvision.commands import listing

    return list(listing.KINDS)


def ls(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            autocompletion=_kinds,
            help="Kind to list, e.g. tasks, backbones, runtimes, weights or recipes. Default: all kinds.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the components of the installed plugins and the shipped recipes."""
    from lowvision.commands import listing
    from lowvision.plugins import registry

    if kind is not None and kind not in listing.KINDS:
        raise UsageError(f"no kind '{kind}'; choose from {', '.join(listing.KINDS)}")
    components = registry.load()
    if as_json:
        print_json(listing.document(components, kind))
    else:
        typer.echo("\n".join(listing.lines(components, kind)))
    for fault in registry.faults(components):
        typer.echo(fault, err=True)
