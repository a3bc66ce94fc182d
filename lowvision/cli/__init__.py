"""Command line: parse arguments, print results and errors, set exit codes.

Each command is one file here, imported when the command is called; its work is done by a package below. Heavy imports
are inside the command's function, so that `lowvision --help` starts fast.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from lowvision import __version__
from lowvision.cli.command_group import CommandGroup
from lowvision.cli.log_output import log_to_stderr
from lowvision.errors import LowvisionError
from lowvision.system.printable import printable, printable_lines

app = typer.Typer(
    name="lowvision",
    cls=CommandGroup,
    help="Restore, train and evaluate low-level vision networks that compute more where an image is hard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich takes a third of the start-up time
)


def main() -> None:
    """Run the command given in `sys.argv`; an error becomes one message and an exit code, not a traceback."""
    try:
        with log_to_stderr(logging.DEBUG if "--debug" in sys.argv else logging.INFO):
            app()
    except LowvisionError as error:
        if "--debug" in sys.argv:
            raise
        print(printable_lines(error), file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # e.g. a name that is too long for the file system, or a disk that failed
        if "--debug" in sys.argv:
            raise
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"{printable(reason)}; --debug prints the traceback", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:  # before the command began; CommandGroup catches others
        sys.exit(130)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"lowvision {__version__}")
        raise typer.Exit


@app.callback()
def lowvision(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")] = False,
) -> None:
    # --version is handled by its callback, --debug by `main`.
    pass
