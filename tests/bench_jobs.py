"""Jobs of `lowvision bench` on a small image, for the tests of its methods."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lowvision.bench import methods, networks
from lowvision.bench.job import Job
from lowvision.bench.rows import Row
from lowvision.plugins import registry

KNOWN = registry.load()
IMAGE = torch.rand(3, 40, 56, generator=torch.Generator().manual_seed(0))


def job(weights: Path, method_name: str, runtime: str = "torch", **more: object) -> Job:
    return Job(Row(method_name, runtime), IMAGE, networks.read(weights, KNOWN), KNOWN, **more)  # type: ignore[arg-type]


def restored(job: Job) -> Tensor:
    image = methods.prepare(job).run()
    return image[0] if image.ndim == 4 else image
