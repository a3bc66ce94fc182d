"""Print the result of a command: text for a person, JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import typer

from lowvision.system.printable import printable_lines

Document = TypeVar("Document")


def print_document(document: Document, as_json: bool, text: Callable[[Document], str], to_stderr: bool = False) -> None:
    """Print a document as JSON, or formatted by `text`; to_stderr: because standard output has another content."""
    if as_json:
        print_json(document, to_stderr)
    else:
        typer.echo(printable_lines(text(document)), err=to_stderr)


def print_json(document: object, to_stderr: bool = False) -> None:
    """Print a JSON document in ASCII: file names may contain characters that the terminal's encoding lacks."""
    typer.echo(json.dumps(document, indent=1), err=to_stderr)
