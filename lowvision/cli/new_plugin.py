"""`lowvision new-plugin`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowvision.cli.answers import answer
from lowvision.cli.words import AsJson

if TYPE_CHECKING:
    from lowvision.scaffold import Rendered


class Kind(StrEnum):
    """What `--kind` knows."""

    backbone = "backbone"
    reducer = "reducer"
    classifier = "classifier"
    task = "task"


def new_plugin(
    distribution: Annotated[str, typer.Argument(metavar="NAME", help="Of the distribution, as lowvision-acme.")],
    kind: Annotated[Kind, typer.Option(help="What the plugin provides.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where its folder is made.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a plugin: a whole distribution with one small working component, its tests and a recipe."""
    from lowvision import scaffold
    from lowvision.plugins import registry

    made = scaffold.render(distribution, kind.value, output, registry.load())
    document = {"folder": str(made.folder), "kind": made.kind, "name": made.name}
    answer(document, as_json, lambda document: _text(made))


def _text(made: Rendered) -> str:
    return (
        f"{made.folder}: a {made.kind} named {made.name}, which works\n"
        f"  cd {made.folder}\n"
        "  pip install -e '.[test]'\n"
        "  pytest\n"
        f"  lowvision run {made.distribution}/example"
    )
