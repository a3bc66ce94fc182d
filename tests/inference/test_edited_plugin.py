"""A plugin whose source is edited gets new graphs and newly degraded photographs, at the same version."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from lowvision.data import photographs
from lowvision.imaging import io
from lowvision.inference import trained_networks
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.folder_dataset import Folder
from lowvision.plugins.registry import Registry

SOURCE = """
from lowvision import Backbone, Task, hookimpl


class Darken(Task):
    \"\"\"Darken images.\"\"\"

    def degrade(self, gt, generator):
        return gt * {degrade}

    def baseline(self, lq):
        return lq


class Net(Backbone):
    \"\"\"One convolution, weighted.\"\"\"

    def build(self, task):
        from torch import nn

        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Conv2d(3, 3, 1, bias=False)
                nn.init.dirac_(self.layer.weight)

            def forward(self, lq):
                return self.layer(lq) * {forward}

        return Network()

    def reach(self, task):
        return 0


@hookimpl
def lowvision_tasks():
    return {{"darken": Darken}}


@hookimpl
def lowvision_backbones():
    return {{"net": Net}}
"""


class Installation:
    """A module that is installed editable: its version stays when its source changes."""

    def __init__(self, folder: Path):
        self.path = folder / "edited_plugin.py"

    def write(self, degrade: float, forward: float) -> Registry:
        """Write the source and load it, as a new process would."""
        self.path.write_text(SOURCE.format(degrade=degrade, forward=forward))
        sys.modules.pop("edited_plugin", None)
        importlib.invalidate_caches()
        return Registry([Plugin("edited_plugin", "lowvision-edited", "1.0")])


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Installation(tmp_path)
    sys.modules.pop("edited_plugin", None)


def output_of_graph(path: Path, registry: Registry) -> float:
    graph = trained_networks.read(path, registry).branches[-1].onnx()
    session = onnxruntime.InferenceSession(str(graph))
    return float(session.run(None, {"lq": np.ones((1, 3, 32, 32), np.float32)})[0].mean())


def test_a_graph_is_exported_again_after_an_edit_of_forward(installation: Installation, tmp_path: Path) -> None:
    registry = installation.write(degrade=0.5, forward=0.25)
    task, backbone = registry.find("tasks", "darken").component(), registry.find("backbones", "net").component()
    architecture = Architecture(task=task, branches=(backbone,))
    path = tmp_path / "net.safetensors"
    weights.save(path, architecture.build(), architecture, registry, {})
    assert output_of_graph(path, registry) == pytest.approx(0.25)
    assert output_of_graph(path, installation.write(degrade=0.5, forward=0.125)) == pytest.approx(0.125)


def test_a_photograph_is_degraded_again_after_an_edit_of_the_task(installation: Installation, tmp_path: Path) -> None:
    io.write(tmp_path / "photos.png", io.Image(np.full((40, 40, 3), 200, np.uint8)))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos.png").rename(tmp_path / "photos" / "a.png")

    def lq_and_gt(registry: Registry) -> tuple[float, Path]:
        task = registry.find("tasks", "darken").component()
        (photograph,) = photographs.load(Folder(path=str(tmp_path / "photos")), task)
        return float(photograph.lq.mean()), photograph.gt_path

    first, gt = lq_and_gt(installation.write(degrade=0.5, forward=1))
    second, same_gt = lq_and_gt(installation.write(degrade=0.25, forward=1))
    assert (first, second) == (100, 50)
    assert gt == same_gt


def test_the_identity_of_a_photograph_does_not_depend_on_the_code_that_decodes_it(
    tmp_path: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    io.write(tmp_path / "photos" / "a.png", io.Image(np.full((40, 40, 3), 200, np.uint8)))
    task = installation.write(degrade=0.5, forward=1).find("tasks", "darken").component()
    (before,) = photographs.load(Folder(path=str(tmp_path / "photos")), task)
    monkeypatch.setattr(photographs, "DECODING", "lowvision.system")
    (after,) = photographs.load(Folder(path=str(tmp_path / "photos")), task)
    assert before.gt_path != after.gt_path
    assert before.identity == after.identity
