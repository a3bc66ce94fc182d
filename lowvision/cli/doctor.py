"""`lowvision doctor`."""

from __future__ import annotations

import typer

from lowvision.cli.answers import answer
from lowvision.cli.words import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Look for what is wrong with this installation. Exits with 1 where something is."""
    from lowvision.commands import doctor

    document = doctor.document()
    answer(document, as_json, doctor.text)
    raise typer.Exit(1 if document["problems"] else 0)
