"""The stage `calibrate` measures the loss of a run's container at each cost, and stores the curve in its weights."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from lowvision.commands.evaluate import evaluate
from lowvision.errors import RecipeError
from lowvision.imaging.io import read_rgb
from lowvision.inference import engines
from lowvision.inference.restorer import load
from lowvision.models import calibration, weights
from lowvision.models.architecture import Architecture, Tile
from lowvision.pipeline.stages.calibrate import Crop, _border, multipliers, spaced
from lowvision.plugins import registry
from lowvision.plugins.contracts import Task
from lowvision.plugins.folder_dataset import Folder
from lowvision_sr import FSRCNN, SuperResolution

NO_TRAINING = tuple(f"stages.{name}=null" for name in ("base", "rank", "branches", "classifier"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tiny.write_recipe(tmp_path_factory.mktemp("calibrate"))
    tiny.write_weights(path.parent / "start.safetensors", tiny.architecture())
    return path


def overrides(recipe: Path) -> tuple[str, ...]:
    """Return overrides for a joint stage of one step and its calibration."""
    joint = f"stages.joint={{steps: 1, batch: 6, start: {recipe.parent}/start.safetensors}}"
    return (*NO_TRAINING, joint, "stages.calibrate={points: 6, size: 256}", "stages.evaluate=null")


@pytest.fixture(scope="module")
def folder(recipe) -> Path:
    run_folder = recipe.parent / "run"
    assert tiny.in_a_child(tiny.run, recipe, run_folder, *overrides(recipe)) == 0
    return run_folder


@pytest.fixture(scope="module")
def calibrated(folder) -> Path:
    return folder / "calibrate" / "container.safetensors"


def as_given(photo: Path, task: Task) -> NDArray[np.uint8]:
    """Degrade a photograph to the 8-bit image (H,W,C) that restoring is given."""
    lq = task.degrade(torch.from_numpy(read_rgb(photo)).permute(2, 0, 1) / 255, torch.Generator())
    return lq.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()


def measured(path: Path) -> calibration.Curve:
    curve = calibration.read(weights.read_header(path, registry.load()).measured)
    assert curve
    return curve


def test_the_curve_goes_from_the_cheapest_branch_through_k_0_to_the_base(calibrated):
    curve = measured(calibrated)
    assert curve.metric == "psnr_rgb@crop2"
    assert 0 in curve.k
    assert all(before > after for before, after in pairwise(curve.k))
    assert curve.shares[0] == min(curve.shares)
    assert curve.shares[-1] > curve.shares[0]
    assert curve.losses[-1] == 0


def test_calibration_keeps_the_weights_of_the_previous_stage(folder, calibrated):
    before = folder / "joint" / "last.safetensors"
    ours, theirs = load_file(calibrated), load_file(before)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    headers = [weights.read_header(path, registry.load()).measured for path in (before, calibrated)]
    assert headers[0].items() <= headers[1].items()


def test_evaluation_measures_each_speed_as_restore_runs_it(recipe, calibrated):
    curve, folder = measured(calibrated), recipe.parent / "photos" / "valid"
    document = evaluate(calibrated, {"seen": Folder(path=str(folder))}, registry.load(), None, "cpu")
    mean = document["sets"][0]["mean"]
    assert [row for row in mean if "restore@" in row] == [f"restore@{speed}" for speed in curve.speeds()]
    network = load(calibrated, device="cpu", runtime="torch")
    lq = as_given(folder / "seen.png", network.architecture.task)
    for speed in curve.speeds():
        assert mean[f"restore@{speed}"]["gmac"] == network.restore(lq, speed=speed).cost / 1e9


def test_a_curve_point_equals_cost_and_psnr_of_restore(recipe, calibrated):
    curve, network = measured(calibrated), load(calibrated, device="cpu", runtime="torch")
    gt = read_rgb(recipe.parent / "photos" / "valid" / "seen.png")
    task = network.architecture.task
    lq = as_given(recipe.parent / "photos" / "valid" / "seen.png", task)
    for loss, share, psnr in zip(curve.losses, curve.shares, curve.psnr, strict=True):
        restored = network.restore(lq, max_loss=loss)
        cheapest = curve.point(loss)
        assert restored.share_of_base == pytest.approx(curve.shares[cheapest])
        error = np.square(restored.image[2:-2, 2:-2].astype(float) - gt[2:-2, 2:-2]).mean()
        assert -10 * np.log10(error / 255**2) == pytest.approx(curve.psnr[cheapest], abs=1e-3)
        assert curve.shares[cheapest] <= share
        assert curve.psnr[cheapest] >= psnr - 1e-9


@pytest.mark.parametrize(("size", "most"), [("", 124), (", size: 256", 256)])
def test_the_header_states_how_large_the_centres_are(recipe, tmp_path, size: str, most: int):
    # Ten tiles of 16 that overlap by 4 cover 124 pixels, the most that 8 times their size holds.
    options = f"stages.calibrate={{points: 3{size}}}"
    tiny.run(recipe, tmp_path / "run", *overrides(recipe), options, "data.valid_tiles=1")
    header = weights.read_header(tmp_path / "run" / "calibrate" / "container.safetensors", registry.load())
    assert f"the centres, at most {most}x{most} LQ pixels," in header.provenance.calibrated


def test_by_default_tiles_fit_into_what_is_measured(recipe, calibrated, tmp_path):
    def curve(options: str) -> calibration.Curve:
        folder = tmp_path / options
        tiny.run(recipe, folder, *overrides(recipe), f"stages.calibrate={{{options}}}", "data.valid_tiles=1")
        return measured(folder / "calibrate" / "container.safetensors")

    # The photograph has 32x25 LQ pixels; two tiles of 16 that overlap by 4 cover 28.
    assert curve("points: 6") == curve("points: 6, size: 28") != measured(calibrated)


def die_measuring(recipe: Path, folder: Path) -> None:
    from lowvision.pipeline.stages import calibrate

    calibrate._points = lambda *_: tiny.die()
    tiny.run(recipe, folder, *overrides(recipe))


def test_a_finished_calibration_is_skipped_and_a_killed_one_resumes_to_the_same_curve(recipe, folder, calibrated):
    before = calibrated.stat().st_mtime_ns
    assert tiny.in_a_child(tiny.run, recipe, folder, *overrides(recipe)) == 0
    assert calibrated.stat().st_mtime_ns == before
    other = recipe.parent / "killed"
    assert tiny.in_a_child(die_measuring, recipe, other) == -9
    assert not (other / "calibrate" / "done.json").exists()
    assert tiny.in_a_child(tiny.run, recipe, other, *overrides(recipe)) == 0
    assert (other / "calibrate" / "container.safetensors").read_bytes() == calibrated.read_bytes()


@pytest.mark.parametrize(
    ("classifier", "joint"), [("high_frequency", "stages.joint.steps=1"), ("edge_table", "stages.joint=null")]
)
def test_a_classifier_without_training_is_fitted_and_measured(recipe, classifier, joint, tmp_path):
    short = [f"stages.{name}.steps=1" for name in ("base", "branches")]
    other = ("stages.classifier=null", joint, f"classifier={classifier}", "stages.calibrate={points: 4}")
    assert tiny.in_a_child(tiny.run, recipe, tmp_path / "run", *short, *other) == 0
    kept = tmp_path / "run" / "calibrate" / "container.safetensors"
    assert measured(kept).losses[-1] == 0
    image = np.random.default_rng(0).random((40, 40, 3), dtype=np.float32)
    network = load(kept, device="cpu", runtime="torch")
    assert network.restore(image, budget=2.0).cost > network.restore(image, budget=1.0).cost
    assert "routed" in (tmp_path / "run" / "report.txt").read_text()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (("data.valid=null",), "stages.calibrate: needs data.valid"),
        (("stages.classifier=null", "stages.joint=null"), "stages.calibrate: needs stages.classifier or stages.joint"),
        (("classifier=edge_table",), "stages.classifier: has nothing to train; omit it"),
        (
            ("classifier=edge_table", "stages.classifier=null", "stages.joint=null", "stages.calibrate=null"),
            "classifier: is fitted when the container is assembled; add stages.calibrate",
        ),
        (
            ("stages.calibrate=null", "stages.evaluate.compare=true", "data.valid=null"),
            "stages.evaluate.compare: needs data.valid, to fit other classifiers",
        ),
    ],
)
def test_an_impossible_calibration_is_reported_before_the_run(recipe, changes, complaint):
    with pytest.raises(RecipeError, match=complaint):
        tiny.run(recipe, recipe.parent / "never", "stages.calibrate={points: 4}", *changes)


def test_multipliers_include_both_ends_and_zero_with_equally_many_switches_in_between():
    assert multipliers(np.array([]), 5) == [0.0]
    turns = np.array([8.0, 6.0, 4.0, 2.0, 1.0, -2.0])
    selected = multipliers(turns, 5)
    assert (selected[0], selected[-1]) == (9.0, -3.0)
    assert 0.0 in selected
    assert len(selected) == 5


def test_points_are_spaced_evenly_by_the_square_root_of_their_cost():
    ks = [5.0, 4.0, 3.0, 2.0, 1.0, 0.0, -1.0]
    shares = np.array([0.01, 0.04, 0.09, 0.1, 0.25, 0.8, 1.0])
    assert spaced(ks, shares, 4) == [5.0, 1.0, 0.0, -1.0]  # the roots nearest to 0.1 and 0.55, 0 and the last
    assert spaced([0.0], np.array([0.5]), 4) == [0.0]


@pytest.mark.parametrize(
    ("branch", "base", "complaint"),
    [
        ("fsrcnn: {channels: 4}", "{steps: 1}", "stages.calibrate: the cost of a single network is fixed unless"),
        ("arm: {widths: [4, 8]}", "null", "stages.calibrate: needs stages.base, or weights of the branch"),
    ],
)
def test_only_a_trained_adaptive_network_gets_operating_points(recipe, tmp_path, branch, base, complaint):
    photos = recipe.parent / "photos"
    alone = tmp_path / "alone.yml"
    alone.write_text(
        f"task: {{sr: {{scale: 2}}}}\nbranches: [{{{branch}}}]\ntile: {{size: 16, overlap: 4}}\n"
        f"data: {{train: {photos}/train, valid: {photos}/valid}}\nstages: {{base: {base}, calibrate: }}\n"
    )
    with pytest.raises(RecipeError, match=complaint):
        tiny.run(alone, tmp_path / "never")


class Deep(FSRCNN):
    """A network with the receptive field of a deeper one."""

    radius: int | None = None

    def reach(self, task: Task) -> int | None:
        return self.radius


def border(radius: int | None, tile: Tile) -> tuple[float, ...]:
    """Measure the borders of windows of a container with two equal branches, of which the last sees that far."""
    task, classifier = SuperResolution(scale=2), registry.load().find("classifiers", "error_predictor").component()
    small = {"channels": 8, "shrink": 4, "layers": 1, "skip": "bicubic"}
    branches = (FSRCNN(**small), Deep(**small, radius=radius))
    architecture = Architecture(task=task, branches=branches, classifier=classifier, tile=tile)
    torch.manual_seed(0)
    container = architecture.build_container()
    engine = engines.of_container(container, architecture, torch.device("cpu"), engines.geometry(architecture), 4)
    lq = torch.rand(3, 160, 160)
    with torch.inference_mode():
        gt = container.branches.networks[-1](lq[None])[0].clamp(0, 1)
    return _border(architecture, engine, [Crop(lq, gt, 1, True)])


@pytest.mark.parametrize("radius", [None, 17])
def test_the_borders_of_windows_are_measured_for_a_teacher_that_sees_beyond_a_tile(radius: int | None) -> None:
    measured = border(radius, Tile(size=16, overlap=4, merge=4))
    assert measured[0] > 0  # the tiles overlap by less than the network sees
    assert measured[-1] < 1e-6  # rounding
    assert border(radius, Tile(size=16, overlap=4, halo=8, merge=4))[0] < 1e-6


@pytest.mark.parametrize(("radius", "tile"), [(16, Tile(size=16, merge=4)), (None, Tile(size=16))])
def test_borders_are_not_measured_where_tiles_suffice_or_are_never_merged(radius: int | None, tile: Tile) -> None:
    assert border(radius, tile) == ()
