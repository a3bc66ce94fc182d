"""Claims about the targets of a teacher: exact, computed once, refused if they are no images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lowvision.data import crops, photographs
from lowvision.data.photographs import Photograph
from lowvision.errors import RunError
from lowvision.imaging import io
from lowvision.models import weights
from lowvision.models.architecture import Architecture
from lowvision.pipeline import distillation
from lowvision.pipeline.distillation import TeacherTargets
from lowvision.plugins.contracts import Backbone, Task
from lowvision.plugins.entry_points import Plugin, installed
from lowvision.plugins.folder_dataset import Folder
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.registry import Registry

REACH = 3


class Sharpen(Backbone):
    """Three convolutions and a nearest-neighbour skip, twice as large."""

    fault: Literal["", "size", "nan"] = ""
    """Fault of the output."""

    def build(self, task: Task) -> nn.Module:
        return Network(self.fault)

    def reach(self, task: Task) -> int | None:
        return REACH


class Folded(Sharpen):
    """The same network for sides that are multiples of four."""

    multiple_of: ClassVar[int] = 4


class Pooled(Backbone):
    """A network that adds the mean of its whole input."""

    def build(self, task: Task) -> nn.Module:
        return Network("pooled")

    def reach(self, task: Task) -> int | None:
        return None


class Network(nn.Module):
    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 8, 3, padding=1), nn.SiLU()),
            nn.Conv2d(8, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, lq: Tensor) -> Tensor:
        image = lq.repeat_interleave(2, 2).repeat_interleave(2, 3) + self.layers(lq)
        if self.kind == "pooled":
            return image + lq.mean(dim=(2, 3), keepdim=True)
        if self.kind == "size":
            return image[:, :, 1:]
        return image / image.sub(image).mean() if self.kind == "nan" else image


@hookimpl
def lowvision_backbones() -> Mapping[str, type[Backbone]]:
    return {"sharpen": Sharpen, "folded": Folded, "pooled": Pooled}


REGISTRY = Registry([*installed(), Plugin(__name__, "small-teachers", "1.0")])


def teacher(folder: Path, backbone: Backbone, context: int = REACH) -> TeacherTargets:
    task = REGISTRY.find("tasks", "sr").component(scale=2)
    architecture = Architecture(task=task, branches=(backbone,))
    torch.manual_seed(1)
    path = folder / "teacher.safetensors"
    weights.save(path, architecture.build_network(), architecture, REGISTRY, {})
    return distillation.load(str(path), context, REGISTRY, torch.device("cpu"), lambda _: None)


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Photograph:
    """Write a photograph of noise, and use a separate cache."""
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 256, (37, 45, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    io.write(tmp_path / "photos" / "a.png", io.Image(pixels))
    dataset = Folder(path=str(tmp_path / "photos"), has_gt=False)
    (loaded,) = photographs.load(dataset, REGISTRY.find("tasks", "sr").component(scale=2))
    return loaded


def whole_output(targets: TeacherTargets, photo: Photograph) -> Tensor:
    assert photo.lq is not None
    return targets.run(io.to_tensor(photo.lq), photo.name).clamp(0, 1)


@pytest.mark.parametrize("kind", [Sharpen, Folded])
def test_a_crop_with_its_context_has_the_output_of_the_whole_image(
    kind: type[Backbone], photo: Photograph, tmp_path: Path
) -> None:
    targets = teacher(tmp_path, kind())
    whole = whole_output(targets, photo)
    pairs = targets.taught(crops.drawn([photo], 99, 8, seed=0))
    assert len(pairs) == 20
    for crop in pairs:
        assert crop.window is not None
        rows, columns = (slice(2 * s.start, 2 * s.stop) for s in (crop.window.rows, crop.window.columns))
        torch.testing.assert_close(io.to_tensor(crop.gt), whole[:, rows, columns], atol=1e-4, rtol=0)
        assert crop.gt.dtype == np.uint16
        assert crop.is_taught


def test_a_crop_without_context_differs_from_the_whole_image(photo: Photograph, tmp_path: Path) -> None:
    targets = teacher(tmp_path, Sharpen(), context=0)
    (crop,) = targets.taught([crops.centre(photo, 8)])
    inner = whole_output(targets, photo)[:, 28:44, 36:52]
    assert not torch.allclose(io.to_tensor(crop.gt), inner, atol=1e-2)


def test_a_teacher_with_global_reach_is_recognised(tmp_path: Path) -> None:
    assert not teacher(tmp_path, Pooled()).is_bounded
    assert teacher(tmp_path, Sharpen()).is_bounded


def test_targets_are_computed_once(photo: Photograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = teacher(tmp_path, Sharpen())
    first = targets.taught(crops.drawn([photo], 5, 8, seed=0))
    monkeypatch.setattr(TeacherTargets, "run", None)  # a call would fail
    assert targets.taught(crops.drawn([photo], 5, 8, seed=0)) == first


def test_ctrl_c_keeps_the_computed_targets(photo: Photograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets, original, calls = teacher(tmp_path, Sharpen()), TeacherTargets.run, []

    def interrupted(self: TeacherTargets, lq: Tensor, name: str) -> Tensor:
        calls.append(name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self, lq, name)

    monkeypatch.setattr(TeacherTargets, "run", interrupted)
    chosen = crops.drawn([photo], 9, 8, seed=2)
    with pytest.raises(KeyboardInterrupt):
        targets.taught(chosen)
    assert len(targets.taught(chosen)) == 9
    assert len(calls) == 9 + 1  # only the interrupted one was computed again


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("size", r"teacher: returns \(3, \d+, \d+\) for \(3, \d+, \d+\), not \(3, \d+, \d+\); .* says scale 2"),
        ("nan", r"teacher: gives NaN or infinite values for a\+\d+\+\d+; exclude it"),
    ],
)
def test_a_teacher_output_that_is_not_an_image_is_refused(
    fault: Literal["size", "nan"], message: str, photo: Photograph, tmp_path: Path
) -> None:
    targets = teacher(tmp_path, Sharpen(fault=fault))
    with pytest.raises(RunError, match=message):
        targets.taught(crops.drawn([photo], 1, 8, seed=0))


def test_a_full_disk_is_reported_with_a_remedy(
    photo: Photograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = teacher(tmp_path, Sharpen(), context=1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(RunError, match=r"cannot be cached \(.*No space left on device\); set LOWVISION_CACHE"):
        targets.taught(crops.drawn([photo], 2, 8, seed=0))


def test_progress_shows_seconds_per_crop_and_remaining_time(photo: Photograph, tmp_path: Path) -> None:
    messages: list[str] = []
    bundle = teacher(tmp_path, Sharpen()).bundle
    targets = TeacherTargets(bundle, 2, torch.device("cpu"), messages.append)
    targets.taught(crops.drawn([photo], 6, 8, seed=5))
    assert messages[0].startswith("teacher: 1 of 6 crops, 0.")
    assert "left" in messages[0]
    assert messages[-1].startswith("teacher: 6 of 6 crops")
    assert "left" not in messages[-1]
    messages.clear()
    targets.taught(crops.drawn([photo], 6, 8, seed=5))
    assert not messages
