"""Training targets from teachers: the mean output of trained networks in place of the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lowvision.data.photographs import Photograph
from lowvision.errors import RecipeError
from lowvision.imaging import io
from lowvision.inference import trained_networks
from lowvision.models import pretrained, weights
from lowvision.plugins.contracts import Task
from lowvision.plugins.registry import Registry
from lowvision.system import cache


@dataclass(frozen=True)
class Teachers:
    """Trained networks whose outputs are averaged."""

    networks: tuple[nn.Module, ...]
    """In eval(), on the CPU."""
    identity: str
    """Hash of their weights; part of the cache key of a target."""

    def targets(self, photographs: Sequence[Photograph]) -> tuple[Photograph, ...]:
        """Return the photographs with the outputs of the teachers as gt; each output is computed once and cached."""
        return tuple(replace(photograph, gt_path=self._target(photograph)) for photograph in photographs)

    def _target(self, photograph: Photograph) -> Path:
        assert photograph.lq_path is not None
        name = cache.key("taught", photograph.lq_path.name, self.identity)
        return cache.keep(name, lambda: self._output(photograph))

    @torch.no_grad()
    def _output(self, photograph: Photograph) -> np.ndarray:
        assert photograph.lq is not None
        lq = io.to_tensor(photograph.lq)[None]  # (1, C, h, w)
        mean = torch.stack([network(lq).clamp(0, 1) for network in self.networks]).mean(dim=0)[0]
        top = np.iinfo(photograph.gt.dtype).max
        return mean.mul(top).round().permute(1, 2, 0).contiguous().numpy().astype(photograph.gt.dtype)


def check(names: Sequence[str], task: Task, registry: Registry) -> list[Path]:
    """Resolve the names of teachers to files. Raises RecipeError or WeightsError if one does not fit the task."""
    if names and task.random:
        raise RecipeError("data.teachers: the task's degradation is random; teachers need a fixed one")
    paths = [pretrained.find(Path(name), registry) for name in names]
    for path in paths:
        weights.check_task(path, task, "data.teachers", registry)
    return paths


def load(names: Sequence[str], task: Task, registry: Registry) -> Teachers:
    """The largest network of each weights file. Raises what `check` raises."""
    bundles = [trained_networks.read(path, registry) for path in check(names, task, registry)]
    networks = tuple(bundle.branches[-1].module() for bundle in bundles)
    return Teachers(networks, cache.key("teachers", *(bundle.identity for bundle in bundles)))
