"""Accelerate trained networks of other people, and measure speed and fidelity on photographs that were not used.

    python benchmarks/accelerated_networks.py --weights FOLDER --train FOLDER --val FOLDER
        [--only NAME...] [--minutes 60] [--points 6]

`--weights` holds the files as their authors published them. Each network is accelerated by `lowvision accelerate` on
the photographs of `--train`, shrunk as the network gets them, and measured on those of `--val`, shrunk likewise, or on
their centres (`--side`): the teacher on the whole image against routed restores, in one process, in the same runtime,
rounds alternating. Networks against noise get the shrunk photographs with noise.
Prints one line per point of the curve: times faster, PSNR to the teacher on the whole image (mean, worst photograph),
tiles of the teacher, the measure of seams, and, for networks that undo bicubic shrinking or noise, the PSNR lost
against the ground truth.
Networks that are accelerated already (their run lies below `--runs`) are only measured.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lowvision.commands import accelerate
from lowvision.commands.accelerate import NotFasterError
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.data import crops, photographs
from lowvision.data.photographs import Photograph
from lowvision.evaluation import fidelity
from lowvision.imaging import io
from lowvision.imaging.image import Image
from lowvision.imaging.metrics import psnrs
from lowvision.inference import engines, trained_networks
from lowvision.pipeline.stages.job import CALIBRATED
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder
from lowvision.plugins.registry import Registry
from lowvision.routing.tiling import suiting
from lowvision.routing.window_cache import cached
from lowvision.system.allocator import keep_memory


@dataclass(frozen=True)
class Demonstration:
    """A network, and how its inputs are made from large photographs."""

    file: str
    downscale: float
    """Factor by which the photographs are shrunk."""
    has_truth: bool = False
    """True: the network undoes a known degradation. Without `sigma`, that is bicubic shrinking, and photographs of
    `--longer-side` pixels are the ground truth."""
    students: tuple[str, ...] = ()
    """Weights files of smaller networks, as `--students` of `lowvision accelerate`; empty: it chooses the students."""
    sigma: float | None = None
    """Noise that the network removes from grey images: its inputs are the shrunk photographs with this noise."""


DEMONSTRATIONS = {
    "general": Demonstration("RealESRGAN_General_x4_v3.param", 4),
    "general-half": Demonstration("RealESRGAN_General_x4_v3.param", 2),
    "x4plus": Demonstration("RealESRGAN_x4plus.param", 4),
    "x4plus-half": Demonstration("RealESRGAN_x4plus.param", 2),
    "rlfn": Demonstration("rlfn_s_x4.pth", 8, has_truth=True),
    "plainusr": Demonstration("PlainUSRL_Rep_x4.pth", 8, has_truth=True),
    "craft": Demonstration(
        "team34_craft.pth", 8, has_truth=True, students=("PlainUSR_Rep_x4.pth", "PlainUSRL_Rep_x4.pth")
    ),
    "dncnn": Demonstration("kair_dncnn_25_gray.pth", 4, has_truth=True, sigma=25),
}


def main() -> None:
    options = arguments()
    components = registry.load()
    keep_memory()
    for name in options.only or DEMONSTRATIONS:
        path = accelerated(name, DEMONSTRATIONS[name], options, components)
        for line in rows(path, DEMONSTRATIONS[name], options, components):
            print(f"{name:14} {line}", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/accelerate"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--side", type=int, help="side of centres in LQ pixels; default: whole photographs")
    parser.add_argument("--longer-side", type=int, default=2048, help="longer side of ground truth; larger ones shrink")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--points", type=int, default=6, help="measured points of the curve, besides --max-loss")
    parser.add_argument("--max-loss", type=float, default=0.3, help="a point of the curve that is measured in any case")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--only", nargs="*", choices=list(DEMONSTRATIONS))
    return parser.parse_args()


def accelerated(name: str, demonstration: Demonstration, options: argparse.Namespace, components: Registry) -> Path:
    """Accelerate a network unless that is done, and return the container, also of one that is not faster."""
    path: Path = options.runs / name / CALIBRATED
    if not path.exists():
        photos, downscale = options.train, demonstration.downscale
        if demonstration.sigma is not None:
            photos, downscale = noisy_pairs(photos, demonstration, options, components) / "lq", 1
        request = AccelerateRequest(
            weights=options.weights / demonstration.file,
            photos=photos,
            output=options.runs / f"{name}.safetensors",
            minutes=options.minutes,
            downscale=downscale,
            students=tuple(str(options.weights / file) for file in demonstration.students),
            runtime=options.runtime,
            runs=options.runs,
        )
        try:
            accelerate.accelerate(request, components)
        except NotFasterError as error:
            print(error)
    return path


def noisy_pairs(folder: Path, demonstration: Demonstration, options: argparse.Namespace, components: Registry) -> Path:
    """Shrink photographs, make them grey, and write them to `gt`, and with noise to `lq`; existing files stay."""
    target: Path = options.runs / "noisy" / folder.name
    task = components.find("tasks", "denoise").component(sigma=demonstration.sigma, channels=1)
    (target / "gt").mkdir(parents=True, exist_ok=True)
    (target / "lq").mkdir(exist_ok=True)
    shrunk = photographs.load(Folder(path=str(folder), downscale=demonstration.downscale), task)
    for seed, photograph in enumerate(shrunk):
        gt, lq = (target / side / f"{photograph.name}.png" for side in ("gt", "lq"))
        if not lq.exists():
            io.write(gt, Image(photograph.gt))
            io.write(lq, Image(io.to_uint8(photographs.lq_of(photograph, task, seed))))
    return target


def measured_set(demonstration: Demonstration, options: argparse.Namespace, components: Registry) -> Folder:
    """Return the photographs of `--val` as the network gets them."""
    if demonstration.sigma is not None:
        return Folder(path=str(noisy_pairs(options.val, demonstration, options, components)))
    if demonstration.has_truth:
        return Folder(path=str(options.val), longer_side=options.longer_side)
    return Folder(path=str(options.val), has_gt=False, downscale=demonstration.downscale)


def rows(path: Path, demonstration: Demonstration, options: argparse.Namespace, components: Registry) -> list[str]:
    """Measure a container on the photographs of `--val`."""
    task = trained_networks.read(path, components).architecture.task
    dataset = measured_set(demonstration, options, components)
    loaded = photographs.load(dataset, task)
    centres = [crops.centre(photograph, options.side or max(photograph.lq_size)) for photograph in loaded]
    measured = fidelity.measure(
        path,
        centres,
        components,
        device="cpu",
        runtime=options.runtime,
        rounds=options.rounds,
        points=options.points,
        max_loss=options.max_loss,
        say=lambda line: print(line, flush=True),
    ).document
    lost = losses(path, centres, measured, components) if demonstration.has_truth else []
    return [line(row, lost[n] if lost else None) for n, row in enumerate(measured["rows"][1:])]


def line(row: dict[str, Any], lost: float | None) -> str:
    truth = "" if lost is None else f"  {lost:+.3f} dB lost against the truth"
    seams = "" if row["seams"] is None else f"  seams {row['seams']:.3f}"
    return (
        f"{row['times_faster']:5.2f}x  {row['psnr_to_teacher']:5.2f} dB to the teacher "
        f"(worst {row['psnr_to_teacher_worst']:5.2f})  {row['shares'][-1]:4.0%} teacher{seams}{truth}"
    )


def losses(path: Path, centres: list[Photograph], measured: dict[str, Any], components: Registry) -> list[float]:
    """Return the PSNR lost against the ground truth at each measured point, in PyTorch."""
    bundle = trained_networks.read(path, components)
    engine = engines.build(bundle, engines.runtime_named("torch", bundle, components, "cpu"), "cpu")
    teacher, multiple = bundle.branches[-1].module(), bundle.architecture.branches[-1].multiple_of
    lost = np.zeros((len(centres), len(measured["rows"]) - 1))
    for n, photograph in enumerate(centres):
        lq, gt = pair(photograph, engine.scale)
        with torch.inference_mode():
            whole = teacher(suiting(lq, multiple)[None])[0][:, : gt.shape[1], : gt.shape[2]]
        base = quality(whole, gt, engine.scale)
        once = replace(engine, networks=cached(engine.networks))  # the points differ in few tiles
        for point, row in enumerate(measured["rows"][1:]):
            routed = once.restored(lq, once.decide(lq, k=row["k"])).image
            lost[n, point] = base - quality(routed, gt, engine.scale)
    return [float(loss) for loss in lost.mean(axis=0)]


def pair(photograph: Photograph, scale: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the centre of lq and the same region of gt."""
    assert photograph.lq is not None
    assert photograph.window is not None
    rows_, columns = (
        slice(scale * s.start, scale * s.stop) for s in (photograph.window.rows, photograph.window.columns)
    )
    return io.to_tensor(photograph.lq), io.to_tensor(photograph.gt[rows_, columns])


def quality(image: torch.Tensor, gt: torch.Tensor, scale: int) -> float:
    return next(iter(psnrs(image, gt, scale).values()))


if __name__ == "__main__":
    main()
