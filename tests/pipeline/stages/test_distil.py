"""A run that imitates a teacher: from photographs without ground truth to a calibrated container and a report."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import tiny
from safetensors.torch import load_file

from lowvision import load
from lowvision.errors import LowvisionError, RecipeError
from lowvision.imaging import io
from lowvision.models import calibration, weights
from lowvision.pipeline import preflight
from lowvision.plugins import registry
from lowvision.recipe import reading

KNOWN = registry.load()
RECIPE = """
task: {sr: {scale: 2}}
teacher: {weights: TEACHER, crops: 8, size: 32, context: 4, centre: 48}
branches:
  - {fsrcnn: {channels: 4, shrink: 4, layers: 1, skip: bicubic}}
  - {weights: TEACHER}
classifier: error_predictor
tile: {size: 16, overlap: 4}
data:
  train: {folder: {path: PHOTOS/train, has_gt: false}}
  valid: {folder: {path: PHOTOS/valid, has_gt: false}}
  test: {folder: {path: PHOTOS/valid, has_gt: false}}
  valid_tiles: 4
  workers: 0
stages:
  distil: {steps: 4, batch: 4, checkpoint_every: 2, valid_every: 2, log_every: 2}
  classifier: {steps: 4, batch: 8, error_tiles: 16, checkpoint_every: 2, valid_every: 4, log_every: 2}
  calibrate: {points: 5, size: 48}
  fidelity: {runtime: torch, rounds: 1, points: 3, crops: 2}
  evaluate: null
"""
END = "calibrate/container.safetensors"


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    """Write the recipe, its photographs and its teacher, which is random but costs more than the student."""
    if not (folder / "photos").exists():
        tiny.write_photographs(folder / "photos")
        tiny.write_weights(folder / "teacher.safetensors", tiny.architecture().only(-1))
    path = folder / "imitate.yml"
    path.write_text(
        text.replace("TEACHER", str(folder / "teacher.safetensors")).replace("PHOTOS", str(folder / "photos"))
    )
    return path


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("distil"))


@pytest.fixture(scope="module")
def folder(recipe: Path) -> Path:
    target = recipe.parent / "uninterrupted"
    assert tiny.in_a_child(tiny.run, recipe, target) == 0
    return target


def test_the_container_holds_the_teacher_as_its_last_branch(recipe: Path, folder: Path) -> None:
    whole, alone = load_file(folder / END), load_file(recipe.parent / "teacher.safetensors")
    last = {name.removeprefix("branches.networks.1."): t for name, t in whole.items() if "networks.1." in name}
    assert last.keys() == alone.keys()
    assert all(last[name].equal(alone[name]) for name in alone)


def test_the_curve_measures_fidelity_and_ends_at_the_teacher(folder: Path) -> None:
    curve = calibration.read(weights.read_header(folder / END, KNOWN).measured)
    assert curve is not None
    assert curve.to_teacher is not None
    assert curve.worst is not None
    assert curve.to_teacher[-1] == pytest.approx(0, abs=1e-9)
    assert curve.to_teacher[0] == max(curve.to_teacher) > 0
    assert curve.worst[-1] == pytest.approx(0, abs=1e-9)
    assert all(worst >= loss - 1e-9 for worst, loss in zip(curve.worst, curve.to_teacher, strict=True))
    assert curve.psnr[-1] == max(curve.psnr)


def test_a_student_starts_from_the_first_file_that_holds_its_network(recipe: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.safetensors" for name in ("other", "first", "second")}
    student = reading.read(recipe, KNOWN).architecture.only(0)
    for seed, (name, file) in enumerate(files.items()):
        tiny.write_weights(file, tiny.architecture().only(1) if name == "other" else student, seed)
    still = f"stages.distil={{steps: 1, lr: 1e-9, min_lr: 0, start: [{', '.join(map(str, files.values()))}]}}"
    later = ("stages.classifier=null", "stages.calibrate=null", "stages.fidelity=null")
    assert tiny.in_a_child(tiny.run, recipe, tmp_path / "run", still, *later) == 0
    trained = load_file(tmp_path / "run" / "distil" / "0" / "last.safetensors")
    first, second = load_file(files["first"]), load_file(files["second"])
    assert all(trained[name].allclose(first[name], atol=1e-6) for name in first)
    assert not all(trained[name].allclose(second[name], atol=1e-6) for name in second)


def test_a_student_that_training_makes_worse_keeps_its_initial_weights(
    recipe: Path, folder: Path, tmp_path: Path
) -> None:
    start = folder / "distil" / "0" / "last.safetensors"
    wild = f"stages.distil={{steps: 2, lr: 0.1, batch: 4, start: {start}}}"
    later = ("stages.classifier=null", "stages.calibrate=null", "stages.fidelity=null")
    assert tiny.in_a_child(tiny.run, recipe, tmp_path / "run", wild, *later) == 0
    kept, initial = load_file(tmp_path / "run" / "distil" / "0" / "last.safetensors"), load_file(start)
    assert all(kept[name].equal(initial[name]) for name in initial)
    assert f"keeps the weights of {start}" in (tmp_path / "run" / "log.txt").read_text()


def test_restore_accepts_both_loss_limits(recipe: Path, folder: Path) -> None:
    network = load(folder / END, device="cpu", runtime="torch")
    image = io.read_rgb(recipe.parent / "photos" / "valid" / "seen.png")
    assert network.restore(image, max_loss=0).tiles[0] == 0
    assert network.restore(image, max_loss=99).tiles[1] == 0
    assert network.restore(image, max_loss=99, worst=0).tiles[0] == 0


def test_the_report_contains_seconds_fidelity_and_crops(folder: Path) -> None:
    document = json.loads((folder / "fidelity" / "fidelity.json").read_text())
    teacher, *points = document["rows"]
    assert teacher["times_faster"] == 1
    assert [row["max_loss"] for row in points] == sorted((row["max_loss"] for row in points), reverse=True)
    assert points[-1]["shares"][-1] == 1
    assert points[-1]["psnr_to_teacher"] > points[0]["psnr_to_teacher"]
    assert all(row["psnr_to_teacher_worst"] <= row["psnr_to_teacher"] for row in points)
    text = (folder / "fidelity" / "fidelity.txt").read_text()
    assert "times faster" in text
    assert f"{points[0]['psnr_to_teacher']:.2f}" in text
    sheet = io.read_rgb(folder / "fidelity" / "worst.png")
    assert sheet.shape == (28 + 2 * 168, 3 * 168 - 8, 3)
    page = (folder / "fidelity" / "fidelity.html").read_text()
    assert page.count('class="compare"') == 2 * len(document["photographs"])
    assert f"<td>{points[0]['psnr_to_teacher']:.2f}</td>" in page
    assert "http" not in page


MOMENTS = {
    "while the teacher runs": ("lowvision.pipeline.distillation.TeacherTargets", "run", 5),
    "in the student": ("lowvision.training.loop", "update", 3),
    "in the error predictor": ("lowvision.training.loop", "update", 7),
    "in the report": ("lowvision.evaluation.fidelity", "_compare", 2),
}


def run_with_cache(recipe: Path, folder: Path, cache: Path, *deadly: object) -> None:
    """Run with a separate cache; `deadly` is module, name and number of the call that kills the process."""
    from pipeline.stages.test_resume import run_and_die

    os.environ["LOWVISION_CACHE"] = str(cache)
    if deadly:
        module, name, number = deadly
        run_and_die(recipe, folder, number, module, name)  # type: ignore[arg-type]
    else:
        tiny.run(recipe, folder)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_resumes_to_the_same_result(moment: str, recipe: Path, folder: Path, tmp_path: Path) -> None:
    other, cache = tmp_path / "run", tmp_path / "cache"
    assert tiny.in_a_child(run_with_cache, recipe, other, cache, *MOMENTS[moment]) == -9
    assert not (other / "fidelity" / "done.json").exists()
    assert tiny.in_a_child(run_with_cache, recipe, other, cache) == 0
    assert (other / END).read_bytes() == (folder / END).read_bytes()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (("teacher=null",), "stages.distil: needs a `teacher`"),
        (("teacher=null", "stages.distil=null", "stages.fidelity=null"), r"data\.train: has images without ground"),
        (("teacher.size=16",), "teacher.size: 16 is too small for these tiles; give at least 24"),
        (("data.teachers=[a.pth]",), "data.teachers: cannot be combined with `teacher`"),
        (("stages.distil.steps_each=[1, 2]",), "steps_each: has 2 values for 1 branches without weights"),
        (("branches.0={weights: TEACHER}",), "stages.distil: has nothing to train"),
        (("data.test=null",), "stages.fidelity: needs data.test"),
        (("teacher.weights=nowhere.pth", "branches.1.weights=nowhere.pth"), "nowhere.pth"),
        (("task.sr.channels=1",), "has .* 3 channels|channels"),
    ],
)
def test_an_unsuitable_teacher_is_refused_before_the_run(
    recipe: Path, changes: tuple[str, ...], complaint: str
) -> None:
    overrides = [change.replace("TEACHER", str(recipe.parent / "teacher.safetensors")) for change in changes]
    with pytest.raises(LowvisionError, match=complaint):
        preflight.check(reading.read(recipe, KNOWN, overrides), KNOWN)


def test_a_student_more_expensive_than_the_teacher_is_refused(recipe: Path) -> None:
    expensive_student = "branches.0.backbone.fsrcnn={channels: 64, shrink: 12, layers: 4, skip: bicubic}"
    text = recipe.read_text().replace("{fsrcnn: {channels: 4, shrink: 4, layers: 1, skip: bicubic}}", "DEARER")
    path = recipe.with_name("dearer.yml")
    path.write_text(text.replace("DEARER", f"{{backbone: {{fsrcnn: {expensive_student.partition('=')[2]}}}}}"))
    with pytest.raises(RecipeError, match="list them in order of increasing cost"):
        preflight.check(reading.read(path, KNOWN), KNOWN)
