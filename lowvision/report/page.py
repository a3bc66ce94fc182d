"""Draws a report as one page that needs nothing else: no network, no script, every picture inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from lowvision.imaging.palette import colours, hexadecimal
from lowvision.report import curves, table
from lowvision.report.pictures import shown
from lowvision.report.plain import image_rows
from lowvision.report.table import Column, Document, Row

ImageSet = Mapping[str, Any]
FEW = 12
"""So many images are listed openly; a longer list is folded."""


def html(document: Document, metrics: Sequence[Mapping[str, Any]], pictures: Path | None) -> str:
    """The page. metrics: the lines of metrics.jsonl; pictures: the folder of `<set>/<image>/<way>.png`, if any."""
    title = escape(table.title(document))
    style = files("lowvision.report").joinpath("page.css").read_text(encoding="utf-8")
    parts = [
        *(_set(image_set) for image_set in document["sets"]),
        _meanings(document),
        _training(metrics),
        *(_gallery(image_set, pictures / image_set["name"]) for image_set in document["sets"] if pictures),
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>lowvision report: {title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<h1>lowvision report <small>{title}</small></h1>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )


def _set(image_set: ImageSet) -> str:
    columns, mean = table.columns(image_set["mean"]), image_set["mean"]
    heading = "".join(f"<th>{'<br>'.join(map(escape, column.heading))}</th>" for column in columns)
    rows = "".join(_way(n, way, mean[way], columns) for n, way in enumerate(mean))
    count = len(image_set["images"])
    return (
        f"<h2>{escape(image_set['name'])} <small>{count} image{'s' if count != 1 else ''}</small></h2>\n"
        f"<p>{escape(table.verdict(mean))}</p>\n"
        f'<div class="scroll"><table><thead><tr><th></th>{heading}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n'
        + _images(image_set)
    )


def _way(n: int, way: str, row: Row, columns: Sequence[Column]) -> str:
    cells = "".join(
        f"<td>{_split(row) if column.name == 'shares' else ''}{escape(column.cells[n])}</td>" for column in columns
    )
    chosen = ' class="routed"' if way == "routed" else ""
    return f"<tr{chosen}><td>{escape(table.label(way))}</td>{cells}</tr>\n"


def _split(row: Row) -> str:
    """A bar that is divided as the tiles are."""
    shares = [share if table.is_number(share) else 0.0 for share in row.get("shares") or ()]
    bits = "".join(
        f'<span style="width:{100 * share:.2f}%;background:{hexadecimal(tint)}"></span>'
        for share, tint in zip(shares, colours(len(shares)), strict=True)
    )
    return f'<div class="split">{bits}</div>' if shares else ""


def _images(image_set: ImageSet) -> str:
    heading, *lines = image_rows(image_set)
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heading)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>\n" for line in lines)
    is_open = " open" if len(lines) <= FEW else ""
    return (
        f"<details{is_open}><summary>each image, PSNR in dB</summary>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div></details>'
    )


def _meanings(document: Document) -> str:
    told = table.explanations(document).items()
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>" for name, meaning in told)
    return f'<dl>{rows}</dl>\n<p class="fine">{escape(table.protocol(document))}</p>'


def _training(metrics: Sequence[Mapping[str, Any]]) -> str:
    groups = [
        f'<section><h3>{escape(stage)}</h3>\n<div class="charts">{"".join(panels)}</div></section>'
        for stage, panels in curves.stages(metrics)
    ]
    return '<h2>Training</h2>\n<div class="stages">' + "\n".join(groups) + "</div>" if groups else ""


def _gallery(image_set: ImageSet, folder: Path) -> str:
    drawn = list(_portraits(image_set, folder))
    return f"<h2>Pictures <small>{escape(image_set['name'])}</small></h2>\n" + "\n".join(drawn) if drawn else ""


def _portraits(image_set: ImageSet, folder: Path) -> Iterator[str]:
    metric = table.main_metric(image_set["mean"]) or ""
    for image in image_set["images"]:
        measured = table.ways(image)
        seen = shown(folder / image["name"], measured)
        name = escape(str(image["name"]))
        chart = f'<img class="map" alt="route map of {name}" src="{seen.map}">' if seen.map else ""
        pieces = "".join(
            f'<figure><img alt="{name}, {escape(table.label(way))}" src="{address}">'
            f"<figcaption>{escape(_caption(way, measured.get(way, {}).get(metric)))}</figcaption></figure>"
            for way, address in seen.pieces.items()
        )
        if chart or pieces:
            yield f'<h3>{name}</h3>\n{chart}<div class="pieces">{pieces}</div>'


def _caption(way: str, psnr: Any) -> str:
    name = "ground truth" if way == "gt" else table.label(way)
    return f"{name}, {psnr:.2f} dB" if table.is_number(psnr) else name
