"""Claims about `lowvision evaluate`: what is refused, and what is measured without ground truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from lowvision import report
from lowvision.commands.evaluate import evaluate
from lowvision.errors import DataError, UsageError
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.plugins.core_metrics import PSNR
from lowvision.plugins.folder_dataset import Folder
from lowvision_metrics import Blur, Noise


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    tiny.write_photographs(folder)
    return folder


def test_by_default_no_classifiers_are_compared(photos):
    path = tiny.write_weights(photos / "again.safetensors", tiny.architecture())
    evaluation = evaluate(path, {"seen": Folder(path=str(photos / "valid"))}, registry.load(), None, "cpu")
    assert not {"high_frequency", "edge_table", "oracle", "routed@1"} & set(evaluation["sets"][0]["mean"])
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
