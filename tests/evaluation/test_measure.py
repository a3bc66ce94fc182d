"""An evaluation measures a container at budgets, and compares other classifiers and an oracle at its cost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from lowvision import report
from lowvision.commands.evaluate import evaluate
from lowvision.data.photographs import Photograph
from lowvision.errors import DataError, UsageError
from lowvision.evaluation.measure import Evaluation, ImageMeasurement, _timed, mean
from lowvision.evaluation.run import ENLARGED, _baseline, _image_row
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.plugins.core_metrics import PSNR
from lowvision.plugins.folder_dataset import Folder
from lowvision.routing import networks
from lowvision.routing.container import RoutedContainer
from lowvision.routing.cost import multiply_adds
from lowvision.routing.engine import Engine
from lowvision.routing.regions import Geometry
from lowvision_degradations import LowLight
from lowvision_denoise import Denoising
from lowvision_metrics import Blur, Noise
from lowvision_sr import SuperResolution

COMPARED = ("high_frequency", "edge_table", "oracle")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    tiny.write_photographs(folder)
    return folder


@pytest.fixture(scope="module")
def document(photos) -> dict[str, Any]:
    path = tiny.write_weights(photos / "container.safetensors", tiny.architecture())
    sets = {"seen": Folder(path=str(photos / "valid"))}
    fit_on = Folder(path=str(photos / "train"))
    return evaluate(path, sets, registry.load(), None, "cpu", (1.0, 3.0), fit_on)


def test_compared_classifiers_cost_at_most_the_choice_of_the_trained_classifier(document):
    (row,) = document["sets"][0]["images"]
    for row_name in COMPARED:
        assert row[row_name]["gmac"] <= max(row["routed"]["gmac"], row["branch_0"]["gmac"] * 1.01)
        assert sum(row[row_name]["shares"]) == pytest.approx(1)


def test_no_choice_beats_the_oracle(document):
    (row,) = document["sets"][0]["images"]
    # The claim would be empty if the cost of `routed` left the oracle no choice but one branch.
    assert min(row["oracle"]["shares"]) > 0
    assert row["oracle"]["psnr_rgb@crop2"] > row["routed"]["psnr_rgb@crop2"]
    psnr = {row_name: row[row_name]["psnr_rgb@crop2"] for row_name in (*COMPARED, "routed", "random")}
    assert all(psnr["oracle"] >= value - 2e-3 for row_name, value in psnr.items() if row_name != "oracle"), psnr


def test_the_report_describes_the_compared_classifiers_and_keeps_its_schema(document):
    assert document["schema"] == 2
    assert set(document["classifiers"]) >= {"high_frequency", "edge_table"}
    assert "blur" in document["classifiers"]["high_frequency"]


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (
            SuperResolution(scale=2),
            f"without a network: {ENLARGED}",
        ),
        (Denoising(), "without a network: the degraded image itself"),
        (LowLight(), "without a network: lq, brightened by the geometric mean of the exposures"),
    ],
)
def test_the_report_describes_the_baseline_by_its_own_docstring_or_the_default(task, text):
    assert _baseline(task) == text


def test_a_budget_is_not_exceeded_and_a_larger_budget_is_spent(document):
    (row,) = document["sets"][0]["images"]
    assert row["routed@3"]["share_of_base_whole"] <= 3
    assert row["routed@1"]["gmac"] < row["routed@3"]["gmac"]


def test_by_default_no_classifiers_are_compared(photos):
    path = tiny.write_weights(photos / "again.safetensors", tiny.architecture())
    evaluation = evaluate(path, {"seen": Folder(path=str(photos / "valid"))}, registry.load(), None, "cpu")
    assert not {*COMPARED, "routed@1"} & set(evaluation["sets"][0]["mean"])
    assert "classifiers" not in evaluation


def test_a_budget_for_a_single_network_is_refused(photos):
    path = tiny.write_weights(photos / "single.safetensors", tiny.architecture().only(0))
    with pytest.raises(UsageError, match="is a single network without routing"):
        evaluate(path, {}, registry.load(), None, "cpu", (0.5,))


def test_weights_are_measured_on_another_task_only_if_its_size_matches(photos):
    known = registry.load()

    def task(name: str, **options: Any) -> Any:
        return known.find("tasks", name).component(**options)

    architecture = tiny.architecture().only(0)
    network = known.find("backbones", "dncnn").component(channels=4, layers=3)
    path = tiny.write_weights(
        photos / "noise.safetensors", architecture.replace(task=task("denoise"), branches=(network,))
    )
    sets = {"seen": Folder(path=str(photos / "valid"))}
    at = [evaluate(path, sets, known, None, "cpu", task=task("denoise", sigma=sigma)) for sigma in (5, 50)]
    weak, strong = (document["sets"][0]["mean"]["input"]["psnr_rgb@crop0"] for document in at)
    assert weak > strong + 15
    assert at[1]["task"]["denoise"]["sigma"] == 50
    with pytest.raises(
        UsageError, match="--task: sr of scale 4, 3 channels, but the weights are for denoise of scale 1, 3"
    ):
        evaluate(path, sets, known, None, "cpu", task=task("sr", scale=4))


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
        return torch.zeros(engine.given(lq, 0).plan.count, dtype=torch.int64)

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


def test_the_luma_of_a_grey_file_follows_the_protocol(photos: Path, tmp_path: Path) -> None:
    (colour,) = sorted((photos / "valid").iterdir())
    pixels = io.read_rgb(colour)
    (tmp_path / "set").mkdir()
    io.write(tmp_path / "set" / "colour.png", io.Image(pixels))
    io.write(tmp_path / "set" / "grey.png", io.Image(np.ascontiguousarray(pixels[:, :, :1])))
    path = tiny.write_weights(tmp_path / "base.safetensors", tiny.architecture().only(0))
    sets = {"mixed": Folder(path=str(tmp_path / "set"))}
    documents = {
        protocol: evaluate(path, sets, registry.load(), None, "cpu", protocol=protocol)
        for protocol in ("basicsr", "paper")
    }
    assert {protocol: document["protocol"] for protocol, document in documents.items()} == {
        "basicsr": "basicsr",
        "paper": "paper",
    }
    of_colour, of_grey = (
        {
            protocol: document["sets"][0]["images"][image]["input"]["psnr_y@crop2"]
            for protocol, document in documents.items()
        }
        for image in (0, 1)
    )
    assert of_colour["basicsr"] == of_colour["paper"]
    assert of_grey["basicsr"] - of_grey["paper"] == pytest.approx(1.32, abs=0.01)
    assert "protocol paper: the values of grey files" in " ".join(report.text(documents["paper"]).split())


@pytest.fixture(scope="module")
def degraded(photos: Path) -> dict[str, Folder]:
    return {"degraded": Folder(path=str(photos / "valid"), has_gt=False)}


def test_images_without_ground_truth_are_measured_by_metrics_without_a_reference(
    weights_file: Path, degraded: dict[str, Folder], tmp_path: Path
) -> None:
    chosen = {"psnr": PSNR(), "noise": Noise(), "blur": Blur()}
    document = evaluate(
        weights_file, degraded, registry.load(), tmp_path, "cpu", (), None, metrics=chosen, prints=False
    )
    (measured,) = document["sets"]
    names = [name for name in measured["mean"]["routed"] if "@" in name]
    assert names == ["noise@crop2", "blur@crop2"]
    assert all(math.isfinite(measured["mean"][way]["noise@crop2"]) for way in ("input", "base_whole", "routed"))
    (image,) = measured["images"]
    assert (image["height"], image["width"]) == (128, 100)
    assert not list(tmp_path.rglob("gt.png"))
    text = " ".join((tmp_path / "report.txt").read_text().split())
    assert "Measured on restored images rounded to 8 bits, with 2 pixels cropped at each border. GMAC" in text
    assert "NOISE BLUR of base of base % of tiles in ↓ ↓" in text
    assert "lower is better" in text


def test_without_ground_truth_and_such_a_metric_the_way_out_is_named(
    weights_file: Path, degraded: dict[str, Folder]
) -> None:
    with pytest.raises(
        DataError, match=r"seen: has no ground truth; measure by a metric without a reference, e.g. `noise`"
    ):
        evaluate(weights_file, degraded, registry.load(), None, "cpu", (), None, prints=False)
