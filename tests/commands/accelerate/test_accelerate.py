"""The whole command on a small teacher: plan, recipe, run, result, and the refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from lowvision import load
from lowvision.commands import accelerate
from lowvision.commands.accelerate import NotFasterError, planning
from lowvision.commands.accelerate.request import AccelerateRequest
from lowvision.errors import DataError, RunError, UsageError
from lowvision.imaging import io
from lowvision.models import weights
from lowvision.plugins import registry
from lowvision.recipe import reading

KNOWN = registry.load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write five photographs, one too small and one damaged, and a random teacher that costs more than the student."""
    target = tmp_path_factory.mktemp("accelerate")
    (target / "photos").mkdir()
    draw = np.random.default_rng(0)
    for n in range(5):
        ramp = np.linspace(0, 200, 56)[:, None, None] + draw.integers(0, 50, (56, 64, 3))
        io.write(target / "photos" / f"{n}.png", io.Image(ramp.astype(np.uint8)))
    io.write(target / "photos" / "small.png", io.Image(np.zeros((20, 60, 3), np.uint8)))
    (target / "photos" / "damaged.png").write_bytes(b"no image")
    tiny.write_weights(target / "teacher.safetensors", tiny.architecture().only(-1))
    return target


@pytest.fixture
def request_(folder: Path) -> AccelerateRequest:
    return AccelerateRequest(
        weights=folder / "teacher.safetensors",
        photos=folder / "photos",
        output=folder / "fast.safetensors",
        minutes=0.01,
        max_loss=99,
        students=("{fsrcnn: {channels: 4, shrink: 4, layers: 1, skip: bicubic}}",),
        runtime="torch",
        runs=folder / "runs",
    )


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FEWEST_STEPS", 3), ("FEWEST_PREDICTOR_STEPS", 3), ("MOST_PREDICTOR_STEPS", 3)):
        monkeypatch.setattr(planning, name, value)
    monkeypatch.setattr(accelerate, "LEAST_GAIN", 0.0)  # networks of this size gain nothing


def test_accelerate_writes_and_runs_a_recipe_and_resumes(
    folder: Path, request_: AccelerateRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lowvision")
    document = accelerate.accelerate(request_, KNOWN)
    assert "small" in caplog.text
    assert "damaged" in caplog.text
    assert "photographs: 3 to learn from, 1 to calibrate on, 1 to report on" in caplog.text
    recipe = reading.read(folder / "runs" / "fast.yml", KNOWN)
    assert recipe.teacher is not None
    assert recipe.is_teacher(1)
    header = weights.read_header(request_.output, KNOWN)
    assert "Whoever shares this file shares that network" in header.provenance.about
    image = io.read_rgb(folder / "photos" / "0.png")
    assert load(request_.output, device="cpu", runtime="torch").restore(image, max_loss=0).image.shape == (112, 128, 3)
    assert "times as fast as the network alone" in accelerate.text(document)

    request_.output.unlink()
    caplog.clear()
    assert accelerate.accelerate(request_, KNOWN)["rows"] == document["rows"]
    assert "exists, its run goes on" in caplog.text
    assert request_.output.exists()

    with pytest.raises(RunError, match=r"belongs to another request \(minutes was 0\.01\); give another -o, or --res"):
        accelerate.accelerate(replace(request_, minutes=1), KNOWN)


def rows(*points: tuple[float, float, float]) -> dict[str, Any]:
    """Return a report of points (loss, times faster, PSNR), the first of which is the requested one."""
    point_entries = [
        {"max_loss": loss, "times_faster": times, "psnr_to_teacher": psnr, "shares": [0.1, 0.9]}
        for loss, times, psnr in points
    ]
    return {"requested": 1, "rows": [{"max_loss": None, "times_faster": 1.0}, *point_entries]}


def test_a_result_that_is_not_faster_is_reported_with_reason_and_alternative(
    request_: AccelerateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerate, "LEAST_GAIN", 1.05)
    stricter_request = replace(request_, max_loss=0.3)
    accelerate._refuse_slow(rows((0.3, 1.5, 41.5)), stricter_request, Path("run"))
    with pytest.raises(NotFasterError, match=r"90% of the tiles need the network .* --max-loss 0\.8 gives 2\.00 times"):
        accelerate._refuse_slow(rows((0.2, 0.9, 43.0), (0.8, 2.0, 37.0)), stricter_request, Path("run"))
    with pytest.raises(NotFasterError, match="no point of its curve is faster"):
        accelerate._refuse_slow(rows((0.5, 0.9, 39.0)), stricter_request, Path("run"))
    assert NotFasterError.exit_code == 1


def test_an_output_that_is_not_a_weights_file_or_is_the_network_is_refused(request_: AccelerateRequest) -> None:
    with pytest.raises(UsageError, match=r"must end in \.safetensors"):
        accelerate.accelerate(replace(request_, output=Path("fast.pth")), KNOWN)
    with pytest.raises(UsageError, match="is the network itself"):
        accelerate.accelerate(replace(request_, output=request_.weights), KNOWN)


def test_too_few_photographs_of_tile_size_are_refused(tmp_path: Path, request_: AccelerateRequest) -> None:
    for n in range(4):
        io.write(tmp_path / f"{n}.png", io.Image(np.zeros((20, 60, 3), np.uint8)))
    few = replace(request_, photos=tmp_path, output=tmp_path / "few.safetensors")
    with pytest.raises(DataError, match="0 usable photographs; give at least 3"):
        accelerate.accelerate(few, KNOWN)
    with pytest.raises(DataError, match="no such folder"):
        accelerate.accelerate(replace(few, photos=tmp_path / "none"), KNOWN)
    assert not (request_.runs / "few.yml").exists()
