"""An evaluation measures a container at budgets, and compares other classifiers and an oracle at its cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from lowvision import report
from lowvision.commands.evaluate import evaluate
from lowvision.data.photographs import Photograph
from lowvision.evaluation.measure import Evaluation, ImageMeasurement, _timed, mean
from lowvision.evaluation.results import _image_row
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder
from lowvision.routing import networks
from lowvision.routing.container import RoutedContainer
from lowvision.routing.cost import multiply_adds
from lowvision.routing.engine import Engine
from lowvision.routing.regions import Geometry


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    tiny.write_photographs(folder)
    return folder


class MemoryLimited(nn.Module):
    """Two convolutions that raise out-of-memory above a number of rows."""

    def __init__(self, rows: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 3, padding=1))
        self.rows, self.error = rows, error

    def forward(self, lq: Tensor) -> Tensor:
        if lq.shape[2] > self.rows and not lq.is_meta:  # its cost is counted without memory
            raise self.error("CUDA out of memory")
        return self.layers(lq)


def evaluated(folder: Path, base: nn.Module, reach: int | None) -> ImageMeasurement:
    """Evaluate a base on a photograph of 70x40 pixels, tiled and whole."""
    np.save(folder / "photo.npy", np.random.default_rng(0).integers(0, 256, (70, 40, 3), np.uint8))
    task = registry.load().find("tasks", "denoise").component()
    engine = Engine(networks.of(RoutedContainer(nn.Identity(), [base])), 1, 16, 4)
    evaluation = Evaluation(task, base.eval(), None, engine, 0, torch.device("cpu"), reach=reach)
    return evaluation.measure(Photograph("photo", folder / "photo.npy", None, 1), 0)


def test_a_base_short_of_memory_runs_in_bands_and_equals_the_whole_image(tmp_path):
    whole = evaluated(tmp_path, MemoryLimited(rows=1000), reach=2)
    bands = evaluated(tmp_path, MemoryLimited(rows=30), reach=2)
    torch.testing.assert_close(bands.images["base_whole"], whole.images["base_whole"])
    assert bands.rows["base_whole"]["gmac"] == whole.rows["base_whole"]["gmac"]
    assert not bands.left_out


def test_a_base_with_global_attention_that_exceeds_memory_is_omitted_and_the_rest_measured(tmp_path):
    measured = evaluated(tmp_path, MemoryLimited(rows=30), reach=None)
    assert measured.left_out == {"base_whole": "out of memory with a whole image of 40x70"}
    assert "base_whole" not in measured.rows
    tiles = measured.rows["base_tiled"]
    assert tiles["share_of_base_whole"] > 1
    row = _image_row(measured)
    document = {"schema": 1, "task": {}, "sets": [{"name": "s", "images": [row], "mean": mean([measured.rows])}]}
    assert "photo: base_whole: out of memory with a whole image of 40x70." in " ".join(report.text(document).split())


def test_an_error_other_than_out_of_memory_is_raised(tmp_path):
    with pytest.raises(ValueError, match="CUDA out of memory"):
        evaluated(tmp_path, MemoryLimited(rows=30, error=ValueError), reach=2)


def test_a_row_missing_for_one_image_has_no_mean():
    assert mean([{"a": {"x": 1.0}, "b": {"x": 2.0}}, {"b": {"x": 4.0}}]) == {"b": {"x": 3.0}}


def test_an_accelerator_warms_up_each_row_before_timing():
    calls = []
    assert _timed(lambda: calls.append(1) or len(calls), rehearse=True)[0] == 2  # type: ignore[arg-type, return-value]
    assert _timed(lambda: calls.append(1) or len(calls), rehearse=False)[0] == 3  # type: ignore[arg-type, return-value]


def test_images_of_earlier_rows_are_freed_on_the_device(photos, monkeypatch):
    kept: list[Tensor] = []

    def choice(engine: Engine, lq: Tensor, everywhere: list[Tensor], gt: Tensor, budget: int) -> Tensor:
        kept.extend(everywhere)
        return torch.zeros(engine.given(lq, 0).tiling.count, dtype=torch.int64)

    moved: list[Tensor] = []
    to_cpu = Tensor.cpu
    monkeypatch.setattr("lowvision.routing.oracle.choice", choice)
    monkeypatch.setattr(Tensor, "cpu", lambda self: moved.append(to_cpu(self).clone()) or moved[-1])
    path = tiny.write_weights(photos / "kept.safetensors", tiny.architecture())
    sets = {"seen": Folder(path=str(photos / "valid"))}
    evaluate(path, sets, registry.load(), None, "cpu", (), Folder(path=str(photos / "train")))
    assert len(kept) == 2 * 3  # warm-up and photograph
    assert all(any(image is each for each in moved) for image in kept[3:])


class Halving(nn.Module):
    """A network that halves and doubles images, so that their sides must be even."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 2, stride=2), nn.ConvTranspose2d(4, 3, 2, stride=2)

    def forward(self, lq: Tensor) -> Tensor:
        assert not any(side % 2 for side in lq.shape[2:])
        return self.up(self.down(lq))


def test_a_base_that_needs_even_sides_gets_a_padded_image(tmp_path):
    np.save(tmp_path / "odd.npy", np.zeros((13, 21, 3), np.uint8))
    base = Halving().eval()
    alone = networks.of(RoutedContainer(nn.Identity(), [base]))
    task = registry.load().find("tasks", "denoise").component()
    engine = Engine(alone, 1, 16, 4, geometry=Geometry(multiple_of=2))
    evaluation = Evaluation(task, base, None, engine, 0, torch.device("cpu"))
    measured = evaluation.measure(Photograph("odd", tmp_path / "odd.npy", None, 1), 0)
    assert measured.images["base_whole"].shape == measured.images["base_tiled"].shape == (3, 13, 21)
    assert measured.rows["base_whole"]["gmac"] * 1e9 == multiply_adds(base, (1, 3, 14, 22))
