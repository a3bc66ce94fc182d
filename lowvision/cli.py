"""The command line: parses words, prints answers and errors, sets exit codes. What is heavy is imported in commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from lowvision import __version__
from lowvision.errors import LowvisionError, RecipeError

app = typer.Typer(
    name="lowvision",
    help="Low-level vision that spends its effort where an image is hard.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would take a third of the time
)
cache_app = typer.Typer(help="The cache of decoded photographs: its size, or `clear`.", rich_markup_mode=None)
app.add_typer(cache_app, name="cache")

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the recipe, as stages.base.steps=1000."),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def main() -> None:
    """Run the command of this process's words; an error is one message and an exit code, not a traceback."""
    try:
        app()
    except LowvisionError as error:
        if "--debug" in sys.argv:
            raise
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lowvision {__version__}")
        raise typer.Exit


@app.callback()
def lowvision(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="The version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    # Both are seen to elsewhere: by the callback, and by `main`.
    pass


@app.command()
def check(
    recipe: RecipeFile,
    overrides: Overrides = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print the recipe with all defaults.")] = False,
    build: Annotated[bool, typer.Option("--build", help="Also build its networks, without memory.")] = False,
) -> None:
    """Tell everything that is wrong with a recipe."""
    from lowvision import registry
    from lowvision.recipe import reading

    known = registry.load()
    found = reading.read(recipe, known, overrides or ())
    if build:
        from lowvision.run import build_check

        build_check(found, known)
    typer.echo(reading.resolved(found, known).rstrip() if resolved else f"{recipe}: nothing wrong")


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from lowvision import registry
    from lowvision.recipe.schema import schema

    typer.echo(json.dumps(schema(registry.load()), indent=1, ensure_ascii=False))


@app.command()
def ls(
    menu: Annotated[str | None, typer.Argument(help="One menu: tasks, backbones, ...")] = None, as_json: AsJson = False
) -> None:
    """List what recipes can name."""
    from lowvision import hookspecs, listing, registry

    if menu is not None and menu not in hookspecs.MENUS:
        raise RecipeError(f"no menu '{menu}'; there are {', '.join(hookspecs.MENUS)}")
    known = registry.load()
    if as_json:
        typer.echo(json.dumps(listing.menus(known, menu), indent=1, ensure_ascii=False))
    else:
        typer.echo("\n".join(listing.menu_lines(known, menu)))
    for broken in known.broken:
        typer.echo(f"plugin {broken.plugin} failed to load: {broken.reason}", err=True)


@app.command()
def plugins(as_json: AsJson = False) -> None:
    """List the installed plugins, the broken ones with the reason."""
    from lowvision import listing, registry

    known = registry.load()
    if as_json:
        typer.echo(json.dumps(listing.plugins(known), indent=1, ensure_ascii=False))
    else:
        typer.echo("\n".join(listing.plugin_lines(known)))


@cache_app.callback(invoke_without_command=True)
def cache_size(context: typer.Context) -> None:
    """The cache of decoded photographs: its size, or `clear`."""
    if context.invoked_subcommand is None:
        from lowvision.training import cache

        typer.echo(f"{cache.root()}: {_gigabytes(cache.size())} of at most {_gigabytes(cache.limit())}")


@cache_app.command("clear")
def cache_clear() -> None:
    """Delete the decoded photographs; they are made again when they are needed."""
    from lowvision.training import cache

    typer.echo(f"{cache.root()}: {_gigabytes(cache.clear())} freed")


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
