"""`lowvision show`."""

from __future__ import annotations

from typing import Annotated

import typer

from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson


def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Component or recipe (`lowvision ls`), recipe file, or weights file."),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Options of a network, e.g. channels=36, or recipe overrides."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Input size for which cost is counted. Default: one tile.")
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(min=1, help="Scale for which a network is built. Default: the largest it supports."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Describe a component, recipe or weights file: options, parameters, exact cost, and its plugin."""
    from lowvision.commands.show import names, page, request
    from lowvision.plugins import registry

    documents = names.documents(name, registry.load(), request.parse(changes or (), size, scale))
    print_document(documents, as_json, page.text)
