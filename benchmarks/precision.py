"""Effect of bfloat16 on restored images: PSNR, changed 8-bit values, and the largest deviation before rounding.

    python benchmarks/precision.py WEIGHTS PHOTOS

Restores the photographs of a folder (longer side 2048, degraded by the task of the weights) by PyTorch and OpenVINO, in
float32 and bfloat16. PSNR is on RGB without `scale` border pixels. Changed values are the fraction of 8-bit values that
differ from PyTorch in float32, and that differ by more than one. The deviation is the largest over all photographs, as
a fraction of the value range; next to it stands the deviation of the last branch on noise, by which `auto` compares
runtimes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowvision.data import photographs
from lowvision.imaging import io
from lowvision.imaging.metrics import psnrs
from lowvision.inference import autotune, engines, trained_networks
from lowvision.models import pretrained
from lowvision.plugins import registry
from lowvision.plugins.contracts import Precision
from lowvision.plugins.folder_dataset import Folder

WAYS: tuple[tuple[str, Precision], ...] = (
    ("torch", "f32"),
    ("openvino", "f32"),
    ("torch", "bf16"),
    ("openvino", "bf16"),
)


@dataclass(frozen=True)
class Result:
    """Restored images of one runtime in one precision."""

    restored: list[Tensor]
    """(C,s*H,s*W) per photograph."""
    of_noise: Tensor

    def describe(self, trusted: Result) -> str:
        """Describe the differences from the trusted result."""
        pairs = list(zip(self.restored, trusted.restored, strict=True))
        steps = np.concatenate([(_bytes(image) - _bytes(right)).ravel() for image, right in pairs])
        differing, by_more = ((abs(steps) > least).mean() for least in (0, 1))
        farthest = max(_far(image, right) for image, right in pairs)
        return (
            f"{differing:.2%} differ, {by_more:.4%} by more than one; at most {farthest:.1e}, "
            f"on noise {_far(self.of_noise, trusted.of_noise):.1e}"
        )


def main() -> None:
    known = registry.load()
    parts = trained_networks.read(pretrained.find(Path(sys.argv[1]), known), known)
    task, size = parts.architecture.task, parts.architecture.tile.size
    photos = photographs.load(Folder(path=sys.argv[2], longer_side=2048), task)
    lqs = [photographs.lq_of(photo, task, number) for number, photo in enumerate(photos)]
    right = [io.to_tensor(photo.gt) for photo in photos]
    noise = torch.rand(autotune.TILES, task.channels, size, size, generator=torch.Generator().manual_seed(0))
    trusted: Result | None = None
    for name, precision in WAYS:
        engine = engines.build(parts, engines.runtime_named(name, parts, known, "cpu", precision), "cpu")
        result = Result([engine.route(lq).image for lq in lqs], engine.networks.branches[-1](noise))
        trusted = trusted or result  # PyTorch in float32 comes first
        quality = [
            psnrs(image, gt, task.scale)[f"psnr_rgb@crop{task.scale}"]
            for image, gt in zip(result.restored, right, strict=True)
        ]
        print(f"{name:9} {precision:5} {sum(quality) / len(quality):.4f} dB  {result.describe(trusted)}", flush=True)


def _bytes(image: Tensor) -> NDArray[np.int16]:
    return io.to_uint8(image).astype(np.int16)


def _far(image: Tensor, right: Tensor) -> float:
    return (image - right).abs().max().item()


if __name__ == "__main__":
    main()
