"""`lowvision doctor`."""

from __future__ import annotations

import typer

from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson


def doctor(as_json: AsJson = False) -> None:
    """Check this installation for problems. Exit code 1 if there are any."""
    from lowvision.commands import doctor

    document = doctor.document()
    print_document(document, as_json, doctor.text)
    raise typer.Exit(1 if document["problems"] else 0)
