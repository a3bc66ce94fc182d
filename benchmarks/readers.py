"""Compare the quality of weights files of other programs, read by our formats, with the figures in their manifest.

    python benchmarks/readers.py WEIGHTS --set5 SET5 --set14 SET14 [--set12 SET12] [--only NAME ...]

WEIGHTS is a folder of weights files with a MANIFEST.tsv, whose columns `file`, `task` and `... PSNR-Y measured ...`
are read. Each file that a format recognises restores whole images: super-resolution of a MATLAB-style bicubic
reduction rounded to 8 bit, denoising of Gaussian noise that is not clipped. Prints a Markdown table of mean PSNR-Y
without `scale` border pixels (denoising: all pixels), of the manifest's figure and of their difference. Files whose
name contains `craft`, which takes minutes, are read if --only names them.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lowvision.errors import WeightsError
from lowvision.imaging import io as images
from lowvision.imaging.metrics import psnrs
from lowvision.imaging.resize import resize
from lowvision.models import external_weights
from lowvision.models.external_weights import ExternalWeights
from lowvision.plugins import registry
from lowvision.plugins.registry import Registry

SLOW = "craft"
SEED = 0
"""Seed of the noise."""


@dataclass(frozen=True)
class Row:
    """A file of the manifest."""

    path: Path
    task: str
    figures: Mapping[str, float]
    """PSNR-Y by the name of the set."""


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(1)
    known = registry.load()
    folders = {name: Path(folder) for name in ("set5", "set14", "set12") if (folder := getattr(arguments, name))}
    print("| file | read as | set | PSNR-Y in dB | manifest | difference |\n|---|---|---|---|---|---|")
    for row in manifest(arguments.weights):
        if row.path.exists() and is_selected(row.path.name, arguments.only):
            report(row, folders, known)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("weights", type=Path, help="folder of weights files and MANIFEST.tsv")
    for name in ("set5", "set14", "set12"):
        parser.add_argument(f"--{name}", help=f"folder of the images of {name.capitalize()}")
    parser.add_argument("--only", nargs="+", default=[], help="parts of names of the files to read")
    return parser.parse_args()


def is_selected(name: str, only: list[str]) -> bool:
    if only:
        return any(part.lower() in name.lower() for part in only)
    return SLOW not in name.lower()


def manifest(folder: Path) -> Iterator[Row]:
    """Yield the rows of a folder's MANIFEST.tsv."""
    with (folder / "MANIFEST.tsv").open(newline="") as file:
        for entry in csv.DictReader(file, delimiter="\t"):
            measured = next(value for column, value in entry.items() if "PSNR" in column)
            yield Row(folder / entry["file"].partition("/")[0], entry["task"], figures(measured or ""))


def figures(text: str) -> dict[str, float]:
    """Parse `30.77 / 27.72` as Set5 and Set14, `Set12 30.42` as Set12; skip what is not a number."""
    if match := re.fullmatch(r"(Set\d+) ([\d.]+)", text):
        return {match[1].lower(): float(match[2])}
    parts = re.fullmatch(r"([\d.]+) / ([\d.]+|-)", text)
    pairs = zip(("set5", "set14"), parts.groups(), strict=True) if parts else ()
    return {name: float(figure) for name, figure in pairs if figure != "-"}


def report(row: Row, folders: Mapping[str, Path], known: Registry) -> None:
    """Print the rows of one file."""
    try:
        weights = read(row, known)
    except WeightsError as error:
        print(f"| {row.path.name} | rejected: {error} | | | | |", flush=True)
        return
    architecture = weights.architecture
    network = architecture.build_network().eval()
    network.load_state_dict(dict(weights.state), strict=False)
    label = f"{known.name_of(architecture.branches[0])} ({weights.format}), {architecture.task.scale}x"
    named = {"set12"} if "denois" in row.task else {"set5", "set14"} if row.figures else set[str]()
    for name in sorted(named & folders.keys(), key=len):
        reached = mean_psnr(network, architecture.task, folders[name])
        figure = row.figures.get(name)
        cells = ("-", "-") if figure is None else (f"{figure:.2f}", f"{reached - figure:+.3f}")
        print(f"| {row.path.name} | {label} | {name} | {reached:.3f} | {cells[0]} | {cells[1]} |", flush=True)
    if not named:
        print(f"| {row.path.name} | {label} | no figure | | | |", flush=True)


def read(row: Row, known: Registry) -> ExternalWeights:
    """Read the file by the format that recognises it; if it holds several scales, read the largest."""
    try:
        return external_weights.read(row.path, known)
    except WeightsError as error:
        scales = [int(scale) for scale in re.findall(r"x(\d)", row.task)]
        if len(scales) < 2 or not (name := re.search(r"in the format '(\w+)'", str(error))):
            raise
        kind: Any = known["formats"][name[1]].component
        return external_weights.read(row.path, known, kind(scale=max(scales)))


def mean_psnr(network: torch.nn.Module, task: Any, folder: Path) -> float:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".bmp", ".jpg"))
    reached = []
    for number, path in enumerate(paths):
        gt, lq = pair(images.read_rgb(path), task, number)
        with torch.inference_mode():
            restored = network(lq[None])[0]
        crop = 0 if task.scale == 1 else task.scale
        reached.append(psnrs(restored, gt, crop)[f"psnr_y@crop{crop}"])
    return sum(reached) / len(reached)


def pair(image: Any, task: Any, number: int) -> tuple[Tensor, Tensor]:
    """Return gt (C,H,W), whose sides are multiples of the scale, and lq (C,h,w)."""
    gt = images.to_tensor(image)
    gt = gt[: task.channels]  # a grey image is read as RGB
    height, width = (side - side % task.scale for side in gt.shape[-2:])
    gt = gt[:, :height, :width]
    if task.scale == 1:
        return gt, task.degrade(gt, torch.Generator().manual_seed(SEED + number))
    small = resize(gt.double(), (height // task.scale, width // task.scale))
    return gt, (small.clamp(0, 1) * 255).round().div(255).float()


if __name__ == "__main__":
    main()
