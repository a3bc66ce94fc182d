"""Measures the shipped weights on test sets and writes docs/tables.md from the measurements.

    python benchmarks/tables.py measure DATA [TEXT...]   # writes benchmarks/tables/*.jsonl; existing files stay
    python benchmarks/tables.py write                    # writes docs/tables.md from these files

DATA holds the folders sr/Set5, sr/Set14, denoise/CBSD68, denoise/McMaster18, photos/val and photos/train. The
photographs of photos/train that a recipe holds out of training fit the classifiers that need no training. TEXT limits
the measurement to files with that text in their names, e.g. `Set5` or `sr-carn-x4`. All of it takes some hours on two
cores: photographs of 8 megapixels, each restored in a dozen ways.

A file of benchmarks/tables is JSON lines: a header, then one line per image with a row of values per way to restore, in
the order of the header's `ways` and `columns`. Costs relative to the base and means are computed when the file is read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lowvision import report
from lowvision.config import yaml_reader
from lowvision.system import devices

Document = dict[str, Any]
"""The document that `lowvision evaluate --json` prints."""
ROOT = Path(__file__).parents[1]
MEASUREMENTS = ROOT / "benchmarks" / "tables"
PAGE = ROOT / "docs" / "tables.md"
BUDGETS = ("0.65", "0.75", "0.85")
"""Shares of the base's cost on the whole image."""
DIGITS = {"psnr": ".6f", "ssim": ".7f", "shares": ".5f", "seconds": ".4g", "gmac": ".7g"}
"""The precision that a file keeps, by the prefix of the column: enough for every digit of the page."""
HEAD = """\
# Tables of the shipped weights

How good are the shipped weights, and what do they cost? The first table holds one line per set; the sections below it
hold every set image by image. `python benchmarks/tables.py write` writes this page from `benchmarks/tables/`
([how to reproduce it](reproduce.md#tables-of-the-shipped-weights)).

Protocol: `lowvision evaluate` with the shipped weights, 8 bit. At x4, 4 pixels are cropped at each
border. No set was used for training or selection; classifiers that need no training, such as `edge_table`, were fitted
on the photographs that the recipe holds out (`data.valid`). [The rows are defined in the method
page](method.md#what-the-rows-of-a-report-mean); `restore, balanced` is what a user gets, `routed` the paper's tile by
tile. Seconds are from a shared machine; for speed see [benchmarks](benchmarks.md#speed).
"""
GLANCE = """\
PSNR of RGB / of luma in dB. `routed` uses the classifier's own choice, tile by tile; `cost` is its share of the base's
multiply-adds on the whole image, with overlap and classifier counted. `at 0.65` etc.: restored within that budget, with
neighbouring tiles merged as in `lowvision restore`.
"""


@dataclass(frozen=True)
class Subject:
    """Weights that a plugin ships, and the sets on which they are measured."""

    weights: str
    recipe: str
    """The shipped recipe that trained them; its `data.valid` was held out of training."""
    sets: tuple[str, ...]
    """Folders below DATA; `@` precedes the longer side to which photographs are resized, ` sigma ` the noise level."""
    compared: tuple[str, ...]
    """The sets on which other classifiers are measured too, which takes half as long again."""
    published: str
    """Figures from papers, with their convention."""
    picture: str
    """A crop of a photograph, restored in each way; shown if the file exists in docs/."""


SUBJECTS = (
    Subject(
        "sr-disp-x4",
        "zoo/sr_disp_x4",
        ("sr/Set5", "sr/Set14", "photos/val@2048", "photos/val"),
        (),
        "DISP of 32 channels and 4 blocks (164 K parameters), trained by its authors: PSNR-Y 31.94 on Set5, 28.46 on "
        "Set14, 31.41 dB on photos/val@2048.",
        "crops-sr-disp.jpg",
    ),
    Subject(
        "sr-carn-x4",
        "zoo/sr_carn_x4",
        ("sr/Set5", "sr/Set14", "photos/val@2048", "photos/val"),
        ("sr/Set5", "sr/Set14"),
        "CARN-M of 412 K parameters, trained on DIV2K: PSNR-Y 31.92 on Set5, 28.42 on Set14 (Ahn et al. 2018); "
        "ours has 293 K. ClassSR-CARN x4, RGB, tiles at stride 28 without borders that do not fill one, cost in the "
        "paper's FLOPs without overlap: 26.01 dB at 71 % on Test2K, 27.42 at 64 % on Test4K, 33.24 at 53 % on Test8K "
        "(Kong et al. 2021).",
        "crops-sr.jpg",
    ),
    Subject(
        "sr-fsrcnn-x4",
        "zoo/sr_fsrcnn_x4",
        ("sr/Set5", "sr/Set14", "photos/val@2048", "photos/val"),
        ("sr/Set5", "sr/Set14", "photos/val@2048"),
        "FSRCNN of 56 channels, fully trained on DIV2K: PSNR-Y 30.69 on Set5, 27.69 on Set14. "
        "ClassSR-FSRCNN x4: 66 % of the paper's FLOPs on Test2K, 61 % on Test4K, 51 % on Test8K; these overcount the "
        "deconvolution 16 times, and counted exactly are 87, 83 and 74 % of the tiled base.",
        "crops-sr.jpg",
    ),
    Subject(
        "denoise-dncnn",
        "zoo/denoise_dncnn",
        ("denoise/CBSD68", "denoise/McMaster18", "photos/val@2048"),
        ("denoise/CBSD68", "denoise/McMaster18"),
        "CDnCNN of 17 layers and 64 channels, sigma 25: 31.2 dB on CBSD68 (Zhang et al. 2017); ours has 12 layers of "
        "32 channels. ClassSR-DnCNN, sigma 25: 31.23 dB at 73 % (Test2K), 32.28 at 67 % (Test4K).",
        "crops-denoise.jpg",
    ),
    Subject(
        "denoise-disp",
        "zoo/denoise_disp",
        (
            *(f"denoise/CBSD68 sigma {sigma}" for sigma in (15, 25, 50)),
            "denoise/McMaster18 sigma 25",
            "photos/val@2048 sigma 25",
        ),
        (),
        "CDnCNN-B of 20 layers and 64 channels, blind: 33.89 dB at sigma 15, 31.23 at 25, 27.92 at 50 on CBSD68 "
        "(Zhang et al. 2017).",
        "crops-denoise-disp.jpg",
    ),
)


def main() -> None:
    match sys.argv[1:]:
        case ["measure", data, *filters]:
            for subject in SUBJECTS:
                for name in subject.sets:
                    _measure(subject, name, Path(data), filters)
        case ["write"]:
            PAGE.write_text("\n".join(page()), encoding="utf-8")
        case _:
            sys.exit(__doc__)


def _measure(subject: Subject, name: str, data: Path, filters: Sequence[str]) -> None:
    path = _table_path(subject, name)
    if path.exists() or not all(text in path.name for text in filters):
        return
    where, _, sigma = name.partition(" sigma ")
    folder, _, side = where.partition("@")
    arguments = ["lowvision", "evaluate", subject.weights, str(data / folder), "--json"]
    arguments += ["--compare", json.dumps(_held_out(subject, data))] if name in subject.compared else []
    arguments += [argument for budget in BUDGETS for argument in ("--budget", budget)]
    arguments += ["--longer-side", side] if side else []
    arguments += ["--task", json.dumps({"denoise": {"sigma": float(sigma)}})] if sigma else []
    process = subprocess.run(arguments, check=True, stdout=subprocess.PIPE)
    document = json.loads(process.stdout)
    document["made"] = {"date": datetime.now(UTC).date().isoformat(), "machine": devices.cpu_name()}
    path.parent.mkdir(exist_ok=True)
    path.write_text(dump_table(document), encoding="utf-8")


def _held_out(subject: Subject, data: Path) -> dict[str, Any]:
    """Return the recipe's `data.valid` with its folder below DATA."""
    source = (ROOT / "recipes" / f"{subject.recipe}.yml").read_text(encoding="utf-8")
    folder: dict[str, Any] = yaml_reader.parse(source, subject.recipe).value["data"]["valid"]["folder"]
    return {"folder": {**folder, "path": str(data / folder["path"])}}


def _table_path(subject: Subject, name: str) -> Path:
    return MEASUREMENTS / f"{subject.weights}--{name.replace('/', '-').replace(' ', '-')}.jsonl"


def dump_table(document: Document) -> str:
    """Serialize an evaluation of one set as JSON lines."""
    (image_set,) = document["sets"]
    columns = [name for name in image_set["mean"]["routed"] if not name.startswith("share_of_")]
    columns.sort(key="shares".__eq__)  # last: rows without it are shorter
    ways = list(image_set["mean"])
    header = {key: value for key, value in document.items() if key != "sets"}
    lines: list[Any] = [{**header, "set": image_set["name"], "ways": ways, "columns": columns}]
    for image in image_set["images"]:
        rows = [_values(image[way], columns) for way in ways]
        lines.append([image["name"], image["height"], image["width"], *rows])
    return "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)


def _values(row: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    return [_rounded(name, row[name]) for name in columns if name in row]


def _rounded(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(name, item) for item in value]
    return float(format(value, DIGITS[name.partition("_")[0]]))


def load_table(text: str) -> Document:
    """Parse JSON lines into the document that `lowvision evaluate --json` printed."""
    header, *lines = map(json.loads, text.splitlines())
    ways, columns, set_name = (header.pop(key) for key in ("ways", "columns", "set"))
    images = []
    for name, height, width, *values in lines:
        rows = {way: dict(zip(columns, row, strict=False)) for way, row in zip(ways, values, strict=True)}
        restored = {way: row | _relative(row, rows) for way, row in rows.items()}
        images.append({"name": name, "height": height, "width": width, **restored})
    mean = {way: _mean([image[way] for image in images]) for way in ways}
    return {**header, "sets": [{"name": set_name, "images": images, "mean": mean}]}


def _relative(row: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, float]:
    """Return the cost as a share of the base's, on the whole image and tiled."""
    bases = ("base_whole", "base_tiled") if "gmac" in row else ()
    return {f"share_of_{base}": row["gmac"] / rows[base]["gmac"] for base in bases}


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: np.mean([row[name] for row in rows], axis=0).tolist() for name in rows[0]}


def page() -> list[str]:
    """Return the lines of docs/tables.md."""
    lines = [*HEAD.splitlines(), "", "## At a glance", "", *_glance()]
    for subject in SUBJECTS:
        measured = _measured(subject)
        lines += [
            "",
            f"## {subject.weights}",
            "",
            f"Trained by `lowvision run {subject.recipe}`. Published, for comparison: {subject.published}",
        ]
        if (PAGE.parent / (picture := subject.picture)).exists():
            lines += ["", f"![{subject.weights}: a crop of a photograph, restored in each way]({picture})"]
        if missing := ", ".join(name for name in subject.sets if name not in measured):
            lines += ["", f"Not measured yet: {missing}."]
        if measured:
            _, _, tables = report.text(_merged(measured)).rstrip().partition("\n\n")  # all but its first line
            lines += ["", "```text", tables, "```", "", _made(measured)]
    return [*lines, ""]


def _measured(subject: Subject) -> dict[str, Document]:
    """Return the documents of the sets that have been measured."""
    paths = {name: _table_path(subject, name) for name in subject.sets}
    return {name: load_table(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}


def _merged(measured: Mapping[str, Document]) -> Document:
    """Merge the documents of one weights file into one."""
    sets = [{**image_set, "name": name} for name, document in measured.items() for image_set in document["sets"]]
    classifiers = {name: text for document in measured.values() for name, text in _classifiers(document)}
    return {**next(iter(measured.values())), "sets": sets, "classifiers": classifiers}


def _classifiers(document: Document) -> Iterable[tuple[str, str]]:
    return document.get("classifiers", {}).items()


def _made(measured: Mapping[str, Document]) -> str:
    origins = [
        f"{name}: {document['made']['date']}, {document['made']['machine']}" for name, document in measured.items()
    ]
    return f"Measured: {'; '.join(origins)}."


def _glance() -> list[str]:
    """Return one line per set: PSNR of the main ways to restore, and the cost of routing."""
    heads = (
        "weights",
        "set",
        "input",
        "base, whole",
        "base, tiled",
        "routed",
        "cost",
        *(f"at {b}" for b in BUDGETS),
    )
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for subject in SUBJECTS:
        for name, document in _measured(subject).items():
            mean = document["sets"][0]["mean"]
            ways = ("input", "base_whole", "base_tiled", "routed")
            cost = f"{mean['routed']['share_of_base_whole']:.0%}"
            cells = [*(_psnr(mean, way) for way in ways), cost, *(_psnr(mean, f"routed@{b}") for b in BUDGETS)]
            lines.append(f"| `{subject.weights}` | {name} | {' | '.join(cells)} |")
    return [*lines, "", *GLANCE.splitlines()]


def _psnr(mean: Mapping[str, Any], way: str) -> str:
    """Format PSNR of RGB, followed by luma if it was measured."""
    row = mean.get(way, {})
    values = [f"{value:.2f}" for name, value in row.items() if name.startswith("psnr")]
    return " / ".join(values) or "-"


if __name__ == "__main__":
    main()
