"""Makes docs/tables.md: what the carried weights reach on other people's photographs, beside their own base.

    python benchmarks/tables.py measure DATA [WORD...]   # leaves benchmarks/tables/*.json; what is there stays
    python benchmarks/tables.py write                    # docs/tables.md from these

DATA has the folders sr/Set5, sr/Set14, denoise/CBSD68, denoise/McMaster18, photos/val, and photos/train, of which the
photographs that the weights' recipe holds out of training fit the classifiers that need none. A WORD measures only what
has it in its name, as `Set5` or `sr-carn-x4`. All of it takes some hours on two cores: photographs of 8 megapixels,
restored in a dozen ways each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lowvision import report
from lowvision.config import yaml_reader
from lowvision.system import devices

Document = dict[str, Any]
"""What `lowvision evaluate --json` prints."""
ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "benchmarks" / "tables"
PAGE = ROOT / "docs" / "tables.md"
BUDGETS = ("0.65", "0.75", "0.85")
"""Shares of the base's cost on the whole image."""
HEAD = """\
# Tables

Made by `python benchmarks/tables.py`: every figure is from `lowvision evaluate` with weights that are carried, and
stands, image by image, in `benchmarks/tables/`. `data.valid` of the weights' recipe fitted the classifiers that need no
training; nothing was trained, chosen or stopped by these sets. [What the rows
mean](method.md#what-the-rows-of-a-report-mean). Seconds are of a shared machine; how fast restoring is, is told in
[benchmarks](benchmarks.md).
"""
GLANCE = """\
PSNR of RGB / of luma, in dB, 8 bit; at x4 without 4 pixels at each border. `routed`: tile by tile, as the classifier
chooses by itself; its cost and `at 0.65` and so on, where neighbouring tiles are merged as restoring does it, are
exact multiply-adds as shares of those of the base on the whole image, with overlap and classifier counted.
"""


@dataclass(frozen=True)
class Subject:
    """Weights that a plugin carries, and what they are measured on."""

    weights: str
    recipe: str
    """The shipped recipe that made them, whose `data.valid` was held out of training."""
    sets: tuple[str, ...]
    """Folders below DATA; after `@` the longer side to which photographs are brought, after ` sigma ` the strength of
    noise, where weights learned several."""
    compared: tuple[str, ...]
    """Those of them on which routing is compared with other classifiers too, which takes half as long again."""
    published: str
    """What papers report, with their convention."""
    picture: str
    """A photograph's piece as each way restores it, beside the page; shown where it is there."""


SUBJECTS = (
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
        "The reference of 56 channels, fully trained on DIV2K: PSNR-Y 30.69 on Set5, 27.69 on Set14. "
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
        "denoise-dncnn-blind",
        "zoo/denoise_dncnn_blind",
        tuple(f"denoise/CBSD68 sigma {sigma}" for sigma in (15, 25, 50)),
        (),
        "CDnCNN-B of 20 layers and 64 channels, blind: 33.89 dB at sigma 15, 31.23 at 25, 27.92 at 50 on CBSD68 "
        "(Zhang et al. 2017).",
        "crops-denoise-blind.jpg",
    ),
)


def main() -> None:
    match sys.argv[1:]:
        case ["measure", data, *words]:
            for subject in SUBJECTS:
                for name in subject.sets:
                    _measure(subject, name, Path(data), words)
        case ["write"]:
            PAGE.write_text("\n".join(_page()), encoding="utf-8")
        case _:
            sys.exit(__doc__)


def _measure(subject: Subject, name: str, data: Path, wanted: Sequence[str]) -> None:
    path = _kept(subject, name)
    if path.exists() or not all(word in path.name for word in wanted):
        return
    where, _, sigma = name.partition(" sigma ")
    folder, _, side = where.partition("@")
    words = ["lowvision", "evaluate", subject.weights, str(data / folder), "--json"]
    words += ["--compare", json.dumps(_held_out(subject, data))] if name in subject.compared else []
    words += [word for budget in BUDGETS for word in ("--budget", budget)]
    words += ["--longer-side", side] if side else []
    words += ["--task", json.dumps({"denoise": {"sigma": float(sigma)}})] if sigma else []
    answer = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    document = json.loads(answer.stdout)
    document["made"] = {"date": datetime.now(UTC).date().isoformat(), "machine": devices.cpu_name()}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _held_out(subject: Subject, data: Path) -> dict[str, Any]:
    """The recipe's `data.valid`, where it lies below DATA."""
    source = (ROOT / "recipes" / f"{subject.recipe}.yml").read_text(encoding="utf-8")
    folder: dict[str, Any] = yaml_reader.parse(source, subject.recipe).value["data"]["valid"]["folder"]
    return {"folder": {**folder, "path": str(data / folder["path"])}}


def _kept(subject: Subject, name: str) -> Path:
    return MEASURED / f"{subject.weights}--{name.replace('/', '-').replace(' ', '-')}.json"


def _page() -> list[str]:
    lines = [*HEAD.splitlines(), "", "## At a glance", "", *_glance()]
    for subject in SUBJECTS:
        measured = _measured(subject)
        lines += ["", f"## {subject.weights}", "", f"Made by `lowvision run {subject.recipe}`. {subject.published}"]
        if (PAGE.parent / (picture := subject.picture)).exists():
            lines += ["", f"![{subject.weights}: a piece of a photograph, restored]({picture})"]
        if missing := ", ".join(name for name in subject.sets if name not in measured):
            lines += ["", f"Not measured yet: {missing}."]
        if measured:
            _, _, tables = report.text(_together(measured)).rstrip().partition("\n\n")  # all but its first line
            lines += ["", "```text", tables, "```", "", _made(measured)]
    return [*lines, ""]


def _measured(subject: Subject) -> dict[str, Document]:
    """The documents that there are, by what was measured."""
    there = {name: _kept(subject, name) for name in subject.sets if _kept(subject, name).exists()}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in there.items()}


def _together(measured: Mapping[str, Document]) -> Document:
    """Several documents of one file of weights as one."""
    sets = [{**image_set, "name": name} for name, document in measured.items() for image_set in document["sets"]]
    rivals = {name: says for document in measured.values() for name, says in document.get("classifiers", {}).items()}
    return {**next(iter(measured.values())), "sets": sets, "classifiers": rivals}


def _made(measured: Mapping[str, Document]) -> str:
    made = [f"{name}: {document['made']['date']}, {document['made']['machine']}" for name, document in measured.items()]
    return f"Measured: {'; '.join(made)}."


def _glance() -> list[str]:
    """One line a set: PSNR of the chief ways, and what routing costs."""
    heads = (
        "weights",
        "on",
        "input",
        "base, whole",
        "base, tiled",
        "routed",
        "its cost",
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
    """RGB, and luma behind it where that was measured."""
    row = mean.get(way, {})
    values = [f"{value:.2f}" for name, value in row.items() if name.startswith("psnr")]
    return " / ".join(values) or "-"


if __name__ == "__main__":
    main()
