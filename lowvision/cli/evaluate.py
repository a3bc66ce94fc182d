"""`lowvision evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowvision.cli.answers import answer
from lowvision.cli.words import AsJson, Device


def evaluate(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A weights file (safetensors).")],
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of ground truth, or of gt/ and lq/.")
    ],
    downscale: Annotated[float, typer.Option(min=1, help="Shrink every image by this factor first.")] = 1.0,
    longer_side: Annotated[int | None, typer.Option(min=1, help="Shrink images to this longer side first.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A folder for the report and its pictures.")
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a weights file on folders of photographs: quality, exact cost and seconds beside its own base."""
    from lowvision import registry, report
    from lowvision.evaluate import evaluate
    from lowvision.folders import Folder

    sets = {
        name: Folder(path=str(folder), downscale=downscale, longer_side=longer_side)
        for name, folder in _named(folders).items()
    }
    document = evaluate(weights, sets, registry.load(), output, device)
    answer(document, as_json, report.text)


def _named(folders: list[Path]) -> dict[str, Path]:
    """Each folder by its own name, or by more of its path where two are called alike."""
    named: dict[str, Path] = {}
    for folder in folders:
        parts = [part for part in folder.resolve().parts if part != folder.anchor]
        names = ("-".join(parts[-n:]) for n in range(1, len(parts) + 1))
        named[next((name for name in names if name not in named), str(folder))] = folder
    return named
