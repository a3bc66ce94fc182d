"""Makes docs/tables.md: what the carried weights reach on other people's photographs, beside their own base.

    python benchmarks/tables.py measure DATA     # leaves benchmarks/tables/*.json; what is there is not measured again
    python benchmarks/tables.py write            # docs/tables.md from these

DATA has the folders sr/Set5, sr/Set14, denoise/CBSD68, denoise/McMaster18, photos/val, and photos/train, of which the
photographs that the weights' recipe holds out of training fit the classifiers that need none. Takes an hour or two on
two cores: photographs of 8 megapixels, restored in a dozen ways each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lowvision import devices, report, yaml_source

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "benchmarks" / "tables"
PAGE = ROOT / "docs" / "tables.md"
BUDGETS = ("0.5", "0.6", "0.75")
"""Shares of the base's cost on the whole image."""
HEAD = """\
# Tables

Made by `python benchmarks/tables.py`: every figure is from `lowvision evaluate` with weights that are carried, and
stands, image by image, in `benchmarks/tables/`. `data.valid` of the weights' recipe fitted the classifiers that need no
training; nothing was trained, chosen or stopped by these sets. [What the rows
mean](method.md#what-the-rows-of-a-report-mean). Seconds are of a shared machine; how fast restoring is, is told in
[benchmarks](benchmarks.md).
"""


@dataclass(frozen=True)
class Subject:
    """Weights that a plugin carries, and what they are measured on."""

    weights: str
    recipe: str
    """The shipped recipe that made them, whose `data.valid` was held out of training."""
    sets: tuple[str, ...]
    """Folders below DATA; after `@` the longer side to which photographs are brought."""
    published: str
    """What papers report, with their convention."""


SUBJECTS = (
    Subject(
        "sr-carn-x4",
        "zoo/sr_carn_x4",
        ("sr/Set5", "sr/Set14", "photos/val@2048", "photos/val"),
        "CARN-M of 412 K parameters, trained on DIV2K: PSNR-Y 31.92 on Set5, 28.42 on Set14 (Ahn et al. 2018); "
        "ours has 293 K. ClassSR-CARN x4, RGB, tiles at stride 28 without borders that do not fill one, cost in the "
        "paper's FLOPs without overlap: 26.01 dB at 71 % on Test2K, 27.42 at 64 % on Test4K, 33.24 at 53 % on Test8K "
        "(Kong et al. 2021).",
    ),
    Subject(
        "denoise-dncnn",
        "zoo/denoise_dncnn",
        ("denoise/CBSD68", "denoise/McMaster18", "photos/val@2048"),
        "CDnCNN of 17 layers and 64 channels, sigma 25: 31.2 dB on CBSD68 (Zhang et al. 2017); ours has 12 layers of "
        "32 channels. ClassSR-DnCNN, sigma 25: 31.23 dB at 73 % (Test2K), 32.28 at 67 % (Test4K).",
    ),
)


def main() -> None:
    match sys.argv[1:]:
        case ["measure", data]:
            for subject in SUBJECTS:
                for name in subject.sets:
                    _measure(subject, name, Path(data))
        case ["write"]:
            PAGE.write_text("\n".join(_page()), encoding="utf-8")
        case _:
            sys.exit(__doc__)


def _measure(subject: Subject, name: str, data: Path) -> None:
    path = _kept(subject, name)
    if path.exists():
        return
    folder, _, side = name.partition("@")
    words = ["lowvision", "evaluate", subject.weights, str(data / folder), "--json"]
    words += ["--compare", json.dumps(_held_out(subject, data))]
    words += [word for budget in BUDGETS for word in ("--budget", budget)]
    words += ["--longer-side", side] if side else []
    answer = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    document = json.loads(answer.stdout)
    document["made"] = {"date": datetime.now(UTC).date().isoformat(), "machine": devices.cpu_name()}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _held_out(subject: Subject, data: Path) -> dict[str, Any]:
    """The recipe's `data.valid`, where it lies below DATA."""
    source = (ROOT / "recipes" / f"{subject.recipe}.yml").read_text(encoding="utf-8")
    folder: dict[str, Any] = yaml_source.parse(source, subject.recipe).value["data"]["valid"]["folder"]
    return {"folder": {**folder, "path": str(data / folder["path"])}}


def _kept(subject: Subject, name: str) -> Path:
    return MEASURED / f"{subject.weights}--{name.replace('/', '-')}.json"


def _page() -> list[str]:
    lines = HEAD.splitlines()
    for subject in SUBJECTS:
        lines += ["", f"## {subject.weights}", "", f"Made by `lowvision run {subject.recipe}`. {subject.published}"]
        for name in subject.sets:
            if not (path := _kept(subject, name)).exists():
                continue
            document = json.loads(path.read_text(encoding="utf-8"))
            made = document["made"]
            lines += ["", f"### {subject.weights} on {name}", "", f"{made['date']}, {made['machine']}.", ""]
            lines += ["```text", report.text(document).rstrip(), "```"]
    return [*lines, ""]


if __name__ == "__main__":
    main()
