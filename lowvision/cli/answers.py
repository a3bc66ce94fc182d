"""How a command prints its answer: text for a person, JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import typer

Document = TypeVar("Document")


def answer(document: Document, as_json: bool, text: Callable[[Document], str]) -> None:
    """Print a document as JSON, or as `text` tells it."""
    if as_json:
        print_json(document)
    else:
        typer.echo(text(document))


def print_json(document: object) -> None:
    """Print what JSON can hold, in ASCII: a file's name may hold bytes that no terminal's encoding has."""
    typer.echo(json.dumps(document, indent=1))
