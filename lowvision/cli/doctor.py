"""`lowvision doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson


def doctor(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", help="Folder of a run, whose checkpoints and results are verified instead."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check this installation, or a run, for problems. Exit code 1 if there are any."""
    from lowvision.commands import doctor

    if run is None:
        document, text = doctor.document(), doctor.text
    else:
        from lowvision.commands import run_check  # imports torch, which may be what is broken
        from lowvision.plugins import registry

        document, text = run_check.document(run, registry.load()), run_check.text
    print_document(document, as_json, text)
    raise typer.Exit(1 if document["problems"] else 0)
