"""The kinds of inputs: for each a folder of valid ones, and the reader under test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tiny
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import nn

from lowvision.imaging import io
from lowvision.inference import package, trained_networks
from lowvision.models import weights
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.training import checkpoint, log

REGISTRY = registry.load()


@dataclass(frozen=True)
class Kind:
    """A kind of input."""

    name: str
    seeds: Callable[[Path], list[Path]]
    """Writes sound files into a folder and returns them."""
    read: Callable[[Path], object]
    """Reads one file, mutated; raises LowvisionError for a bad one."""


def _weights(folder: Path) -> list[Path]:
    return [tiny.write_weights(folder / "w.safetensors", tiny.architecture())]


def _headers(folder: Path) -> list[Path]:
    """The JSON of a header, which the reader wraps: mutations of the file itself rarely get past safetensors."""
    header = weights.read_header(_weights(folder)[0], REGISTRY).model_dump(mode="json", context=REGISTRY)
    (folder / "header.json").write_text(json.dumps(header))
    return [folder / "header.json"]


def _read_header(path: Path) -> object:
    wrapped = path.with_suffix(".safetensors")
    save_file({"x": torch.zeros(1)}, wrapped, {weights.KEY: path.read_text(errors="replace")})
    return trained_networks.read(wrapped, REGISTRY)


def _recipes(folder: Path) -> list[Path]:
    (folder / "r.yml").write_text(tiny.RECIPE)
    return [folder / "r.yml"]


def _images(folder: Path) -> list[Path]:
    picture = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    paths = [folder / f"p{suffix}" for suffix in (".png", ".jpg", ".tif", ".webp", ".bmp")]
    for path in paths:
        cv2.imwrite(str(path), picture)
    return paths


def _packages(folder: Path) -> list[Path]:
    header = weights.read_header(_weights(folder)[0], REGISTRY).model_dump(mode="json", context=REGISTRY)
    graph = bytes(2000)  # what a graph holds is read by runtimes
    files = dict.fromkeys(
        [*(f"branch_{k}.onnx" for k in range(3)), "classifier.onnx"], hashlib.sha256(graph).hexdigest()
    )
    for name in files:
        (folder / name).write_bytes(graph)
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, **header, "files": files}))
    return [folder / "manifest.json"]


def _checkpoints(folder: Path) -> list[Path]:
    accelerator = Accelerator(cpu=True)
    accelerator.prepare(nn.Linear(2, 2))
    checkpoint.save(accelerator, folder, 2, {"best": 1.0}, None)
    return sorted(path for path in checkpoint.newest_first(folder)[0].iterdir())


def _read_checkpoint(path: Path) -> object:
    """Read a single mutated part: any result except a description of the damage is a failure."""
    if not (damage := checkpoint.damage_of(path.parent)):
        raise AssertionError(f"{path.name} was changed without being noticed")
    return damage


def _metrics(folder: Path) -> list[Path]:
    lines = [json.dumps({"stage": "base", "step": n, "loss": 0.1, "shares": [0.5, 0.5]}) for n in range(5)]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    return [folder / "metrics.jsonl"]


def _read_metrics(path: Path) -> object:
    (path.parent / log.METRICS).write_bytes(path.read_bytes())
    return [(entry["stage"], entry["step"] + 1) for entry in log.read_metrics(path.parent)]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("weights", _weights, lambda path: trained_networks.read(path, REGISTRY)),
        Kind("headers", _headers, _read_header),
        Kind("recipes", _recipes, lambda path: reading.read(path, REGISTRY)),
        Kind("images", _images, io.read),
        Kind("packages", _packages, lambda path: package.read(path.parent, REGISTRY)),
        Kind("checkpoints", _checkpoints, _read_checkpoint),
        Kind("metrics", _metrics, _read_metrics),
    )
}
