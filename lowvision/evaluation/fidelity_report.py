"""A measurement of fidelity as text, and a picture of the worst tiles next to those of the teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.evaluation.fidelity import FidelityMeasurement, Pictures
from lowvision.imaging import io
from lowvision.report import fidelity_page
from lowvision.system.text_table import aligned

SIDE = 160
"""Height and width of a crop in the picture, in pixels."""
GAP = 8
HEADER = 28
"""Height of the line of titles, in pixels."""
TITLES = ("input", "teacher", "accelerated")
FEW, SMALL = 3, 0.2
"""Photographs, and their megapixels, below which a report says that they are few."""

HEADING = [
    "",
    "seconds",
    "times faster",
    "dB to teacher",
    "worst photo",
    "99 % lose at most",
    "teacher tiles",
    "seams",
]


def text(document: Mapping[str, Any]) -> str:
    """Return the table: a row for the teacher, and one for each point of the curve."""
    protocol, *notes = _notes(document)
    return "\n".join([protocol, *aligned(_rows(document), numeric=True, heading=1), *notes])


def html(measurement: FidelityMeasurement, worst: NDArray[np.uint8] | None) -> str:
    """Return the table and the photographs, with dividers, as a page; worst: the sheet of the worst tiles."""
    document, names = measurement.document, [each["name"] for each in measurement.document["photographs"]]
    pictures = [
        fidelity_page.Picture(name, _enlarged(each), _rgb(each.teacher), _rgb(each.routed))
        for name, each in zip(names, measurement.pictures, strict=True)
    ]
    drawn = None if worst is None else io.to_tensor(worst)
    return fidelity_page.html(_rows(document), document["requested"], _notes(document), pictures, drawn)


def _rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Return heading and rows of the table."""
    rows: Sequence[Mapping[str, Any]] = document["rows"]
    return [HEADING, *(_row(row, n == document["requested"], n + 1 == len(rows)) for n, row in enumerate(rows))]


def _notes(document: Mapping[str, Any]) -> list[str]:
    """Return the protocol, and what is to be known about the columns."""
    count = len(document["photographs"])
    megapixels = sum(photo["height"] * photo["width"] for photo in document["photographs"]) / 1e6
    photographs = "1 photograph" if count == 1 else f"{count} photographs"
    lines = [
        f"{photographs} held out, {megapixels:.2f} megapixels of their centres in all; "
        f"{document['runtime']} on {document['device']}, {document['threads']} threads; "
        "seconds are the quickest of alternating rounds",
        f"* the point of --max-loss {document['max_loss']:g}. The losses in the first column are means over the "
        "photographs of the calibration, all else is of those above.",
        "seams: steps across borders between branches, relative to the teacher's; 1 is invisible.",
    ]
    if count < FEW or megapixels < SMALL:
        lines.append("These are few pixels, so that others may give other seconds and PSNR; use more photographs.")
    if document["teacher_runtime"] != document["runtime"]:
        lines.append(
            f"The teacher alone is run by {document['teacher_runtime']}: {document['runtime']} cannot run it whole."
        )
    return lines


def _row(row: Mapping[str, Any], is_requested: bool, is_last: bool) -> list[str]:
    if row["max_loss"] is None:
        return ["teacher, whole image", f"{row['seconds']:.2f}", "1.00", "", "", "", "", ""]
    is_teachers = is_last and row["shares"][-1] == 1
    label = "every tile by the teacher" if is_teachers else f"--max-loss {_up(row['max_loss'])}"
    return [
        f"{label}{' *' if is_requested else ''}",
        f"{row['seconds']:.2f}",
        f"{row['times_faster']:.2f}",
        f"{row['psnr_to_teacher']:.2f}",
        f"{row['psnr_to_teacher_worst']:.2f}",
        f"{row['tile_loss_p99']:.2f} dB",
        f"{row['shares'][-1]:.0%}",
        "" if row["seams"] is None else f"{row['seams']:.3f}",
    ]


def _up(loss: float) -> str:
    """Return a loss rounded up, so that the printed option selects the point."""
    return f"{np.ceil(loss * 1000) / 1000:g}"


def sheet(measurement: FidelityMeasurement, count: int) -> NDArray[np.uint8]:
    """Draw the worst tiles, one per row: the input enlarged by repeating pixels, the teacher, the routed image."""
    worst = _apart(measurement, count)
    height = HEADER + len(worst) * (SIDE + GAP)
    page = np.full((height, len(TITLES) * (SIDE + GAP) - GAP, 3), 255, dtype=np.uint8)
    for column, title in enumerate(TITLES):
        io.draw_text(page, title, column * (SIDE + GAP), 20, 16, (0, 0, 0))
    for row, tile in enumerate(worst):
        pictures = measurement.pictures[tile.photograph]
        top = HEADER + row * (SIDE + GAP)
        for column, image in enumerate((_enlarged(pictures), pictures.teacher, pictures.routed)):
            left = column * (SIDE + GAP)
            page[top : top + SIDE, left : left + SIDE] = _crop(image, tile.row, tile.column)
    return page


def _enlarged(pictures: Pictures) -> Tensor:
    """Return the input at the size of the result, by repeating pixels, in RGB."""
    scale = pictures.teacher.shape[1] // pictures.lq.shape[1]
    return _rgb(pictures.lq.repeat_interleave(scale, 1).repeat_interleave(scale, 2))


def _rgb(image: Tensor) -> Tensor:
    return image.cpu().expand(3, -1, -1)


def _apart(measurement: FidelityMeasurement, count: int) -> list[Any]:
    """Return the worst tiles, at most two of a photograph."""
    chosen: list[Any] = []
    for tile in measurement.worst:
        if sum(other.photograph == tile.photograph for other in chosen) < 2:
            chosen.append(tile)
    return chosen[:count]


def _crop(image: Tensor, row: int, column: int) -> NDArray[np.uint8]:
    """Cut SIDE x SIDE pixels around a tile, shifted into the image; a smaller image is repeated at its edges."""
    height, width = image.shape[1:]
    top, left = max(0, min(row, height - SIDE)), max(0, min(column, width - SIDE))
    piece = image[:, top : top + SIDE, left : left + SIDE].expand(3, -1, -1)
    missing = (0, SIDE - piece.shape[2], 0, SIDE - piece.shape[1])
    return io.to_uint8(torch.nn.functional.pad(piece[None], missing, mode="replicate")[0])
