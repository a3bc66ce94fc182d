"""Write the model card of a weights file, in Markdown with the metadata that Hugging Face reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lowvision.commands.show import networks
from lowvision.config import yaml_reader
from lowvision.models import calibration, weights
from lowvision.models.weights_header import Header
from lowvision.plugins import spelling
from lowvision.plugins.registry import Registry
from lowvision.report import table
from lowvision.report.table import Document

NOT_STATED = "The file does not state how."
"""Protocol of measurements in files without one."""


def card(path: Path, registry: Registry, report: Document | None = None, repo: str = "") -> str:
    """Return the card: task, networks, cost, measurements with their protocol, licence, plugins and use.

    report: the content of a `report.json` about these weights, whose means it states as well.
    repo: the repository on the Hub that holds the file; empty: none.

    Raises WeightsError if the file is not a weights file.
    """
    header = weights.check(path, registry)
    tile = header.architecture.tile.size
    task = spelling.in_words(header.architecture.task, registry)
    heads = ("network", "parameters", "multiply-adds")
    described = networks.of_architecture(header.architecture.deployed(), registry, tile, tile)
    return "\n".join(
        [
            *_metadata(header, described),
            f"# {repo.rpartition('/')[2] or path.stem}",
            "",
            header.provenance.about or "The file states no purpose and no training data.",
            "",
            *_table("Model", ("property", "value"), _properties(header, described, task)),
            *_table(f"Cost for one tile of {tile}x{tile}", heads, _costs(described)),
            *_table("Measured in training", ("metric", "value"), _measurements(header), header.provenance.validated),
            *_curve(header),
            *(_evaluated(report) if report else ()),
            *_use(path, header, repo),
        ]
    )


def _metadata(header: Header, described: Mapping[str, Any]) -> list[str]:
    task = next(iter(described["task"]))
    values = {
        "library_name": "lowvision",
        "pipeline_tag": "image-to-image",
        "tags": ["lowvision", task, *dict.fromkeys(_family(branch) for branch in described["branches"])],
    }
    if header.provenance.license:
        values = {"license": header.provenance.license.lower(), **values}
    return ["---", yaml_reader.dump(values).rstrip(), "---", ""]


def _family(network: Mapping[str, Any]) -> str:
    """Return the name of a component in a document of `networks`, which is its first key."""
    return str(next(iter(network)))


def _properties(header: Header, described: Mapping[str, Any], task: str) -> Iterator[tuple[str, str]]:
    yield "task", task
    yield "kind", "classifier and branches" if header.kind == "container" else "one network"
    yield "networks", ", ".join(dict.fromkeys(_family(branch) for branch in described["branches"]))
    if "classifier" in described:
        yield "classifier", _family(described["classifier"])
    yield "licence", header.provenance.license or "not stated"
    if header.provenance.origin:
        yield "converted from", header.provenance.origin
    yield "plugins", ", ".join(f"{name} {version}" for name, version in header.plugins.items()) or "none"


def _costs(described: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    rows = [(f"branch {k}", branch) for k, branch in enumerate(described["branches"])]
    if "classifier" in described:
        rows.append(("classifier", described["classifier"]))
    for name, network in rows:
        if "problem" in network:
            yield name, "", str(network["problem"])
        else:
            yield name, f"{network['parameters']:,}", f"{network['multiply_adds']:,}"


def _measurements(header: Header) -> Iterator[tuple[str, str]]:
    for name, value in header.measured.items():
        if not name.startswith(calibration.PREFIX):
            numbers = value if isinstance(value, tuple) else (value,)
            yield name, ", ".join(f"{number:.4g}" for number in numbers)


def _curve(header: Header) -> Iterator[str]:
    """Yield the section of the calibration curve; nothing without a curve."""
    curve = calibration.read(header.measured)
    if curve is None:
        return
    points = zip(curve.shares, curve.psnr, curve.losses, strict=True)
    rows = ((f"{share:.0%}", f"{psnr:.2f}", f"{loss:.3f}") for share, psnr, loss in points)
    metric, _, crop = curve.metric.partition("@crop")
    heads = ("cost, of the base on the whole image", f"{metric} in dB", "loss in dB")
    yield from _table("Calibration", heads, rows, header.provenance.calibrated)
    if crop:
        yield from (f"{crop} pixels are cropped at each border.", "")


def _evaluated(report: Document) -> Iterator[str]:
    """Yield the means of a report per set, and its protocol."""
    for measured in report["sets"]:
        columns = table.columns(measured["mean"], report.get("metrics", {}))
        heads = ("", *(" ".join(filter(None, column.heading)) for column in columns))
        cells = zip(*(column.cells for column in columns), strict=True)
        rows = ((table.label(way), *row) for way, row in zip(measured["mean"], cells, strict=True))
        yield from _table(f"Evaluated on {measured['name']}", heads, rows, table.protocol(report))


def _table(title: str, heads: Sequence[str], rows: Iterator[tuple[str, ...]], note: str | None = None) -> Iterator[str]:
    """Yield a section with a table and a sentence below it; nothing if it has no rows. note: "" is `NOT_STATED`."""
    listed = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    if not listed:
        return
    yield from (f"## {title}", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads))
    yield from (f"| {' | '.join(row)} |" for row in listed)
    yield ""
    if note is not None:
        sentence = note or NOT_STATED
        yield from (f"{sentence[0].upper()}{sentence[1:].rstrip('.')}.", "")


def _use(path: Path, header: Header, repo: str) -> list[str]:
    python = ["```python", "import lowvision", "", f'restorer = lowvision.from_pretrained("{repo}")', "```", ""]
    plugins = " ".join(name for name in header.plugins if name != "lowvision-framework")
    return [
        "## Use",
        "",
        "```sh",
        f"pip install lowvision-framework {plugins}".rstrip(),
        f"lowvision restore photo.png -m {path.name}",
        "```",
        "",
        *(python if repo else ()),
    ]
