"""`lowvision new-plugin`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson

if TYPE_CHECKING:
    from lowvision.scaffold import Rendered


class Kind(StrEnum):
    """Values of `--kind`."""

    backbone = "backbone"
    reducer = "reducer"
    classifier = "classifier"
    task = "task"
    loss = "loss"
    metric = "metric"
    stage = "stage"
    observer = "observer"
    dataset = "dataset"


def new_plugin(
    distribution: Annotated[str, typer.Argument(metavar="NAME", help="Name of the distribution, e.g. lowvision-acme.")],
    kind: Annotated[Kind, typer.Option(help="Kind of the component that the plugin provides.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder in which the plugin's folder is created.")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Create a plugin: a complete distribution with a small working component, its tests and a recipe."""
    from lowvision import scaffold
    from lowvision.plugins import registry

    rendered = scaffold.render(distribution, kind.value, output, registry.load())
    document = {"folder": str(rendered.folder), "kind": rendered.kind, "name": rendered.name}
    print_document(document, as_json, lambda document: _text(rendered))


def _text(rendered: Rendered) -> str:
    return (
        f"{rendered.folder}: a working {rendered.kind} named {rendered.name}; next:\n"
        f"  cd {rendered.folder}\n"
        "  pip install -e '.[test]'\n"
        "  pytest\n"
        f"  lowvision run {rendered.distribution}/{rendered.name}"
    )
