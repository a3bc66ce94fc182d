"""The command line: parses words, prints answers and errors, sets exit codes.

A command is a file of its own here, and what it does is a file of its own below. Whatever is heavy is imported inside
the command's function, so that `lowvision --help` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lowvision import __version__
from lowvision.cli import (
    bench,
    cache,
    check,
    convert,
    cp,
    doctor,
    evaluate,
    export,
    ls,
    new_plugin,
    plugins,
    restore,
    run,
    schema,
    show,
)
from lowvision.cli.log_output import log_to_stderr
from lowvision.errors import LowvisionError

app = typer.Typer(
    name="lowvision",
    help="Low-level vision that spends its effort where an image is hard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich would take a third of the time
)

COMMANDS = (
    run.run,
    restore.restore,
    evaluate.evaluate,
    bench.bench,
    export.export,
    convert.convert,
    check.check,
    cp.cp,
    schema.schema,
    ls.ls,
    show.show,
    plugins.plugins,
    doctor.doctor,
    new_plugin.new_plugin,
)
"""Every command, in the order in which `--help` lists them; each is called like its function."""

for command in COMMANDS:
    app.command()(command)
app.add_typer(cache.family, name="cache")


def main() -> None:
    """Run the command of this process's words; an error is one message and an exit code, not a traceback."""
    try:
        with log_to_stderr():
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
