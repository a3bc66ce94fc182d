"""Claims about the measurement of a container against its teacher: what is compared, timed and reported."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lowvision.data.photographs import Photograph
from lowvision.evaluation import fidelity
from lowvision.evaluation.fidelity import FidelityMeasurement, Way
from lowvision.imaging import io
from lowvision.imaging.metrics import CEILING, psnrs
from lowvision.inference import trained_networks
from lowvision.models import weights
from lowvision.models.architecture import Architecture, Tile
from lowvision.models.calibration import Curve
from lowvision.plugins import registry
from lowvision.plugins.contracts import Runtime, Task, Trained
from lowvision.routing.engine import RestoredTiles
from lowvision.routing.tiling import plan
from lowvision.testing.registration import registered
from lowvision.testing.small_run import SmallBackbone

KNOWN = registry.load()
CHEAPEST, DEAREST = 1e6, -1e6
"""Lagrange multipliers at which every tile takes the first branch, or the last one."""


def curve(losses: tuple[float, ...], k: tuple[float, ...] = ()) -> Curve:
    count = len(losses)
    multipliers = k or tuple(float(count - n) for n in range(count))
    psnr = tuple(30 - loss for loss in losses)
    return Curve(metric="psnr_y@crop2", k=multipliers, shares=(0.5,) * count, psnr=psnr, base=30.0, to_teacher=losses)


CALIBRATED = curve((0.9, 0.2, 0.0), (CHEAPEST, 0.0, DEAREST))


def write_container(path: Path, architecture: Architecture, known: registry.Registry) -> Path:
    """Write a container with random weights in every layer, so that its branches differ, and with a curve."""
    torch.manual_seed(0)
    network = architecture.build()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.1)
    weights.save(path, network, architecture, known, CALIBRATED.measured())
    return path


def photograph(folder: Path, name: str, height: int, width: int) -> Photograph:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.save(folder / f"{name}.npy", pixels)
    return Photograph(name, None, folder / f"{name}.npy", 2)


def measure(path: Path, photographs: list[Photograph], known: registry.Registry, **changes: Any) -> FidelityMeasurement:
    options: dict[str, Any] = {"rounds": 1, "points": 2, "max_loss": 0.3, "say": lambda line: None}
    return fidelity.measure(path, photographs, known, device="cpu", runtime="torch", **(options | changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fidelity")


@pytest.fixture(scope="module")
def photographs(folder: Path) -> list[Photograph]:
    return [photograph(folder, "bird", 20, 41), photograph(folder, "tree", 30, 24)]


@pytest.fixture(scope="module")
def container(folder: Path) -> Path:
    return write_container(folder / "w.safetensors", tiny.architecture(), KNOWN)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def measurement(container: Path, photographs: list[Photograph], lines: list[str]) -> FidelityMeasurement:
    return measure(container, photographs, KNOWN, say=lines.append)


def test_the_teacher_is_the_last_branch_on_the_whole_photograph(
    measurement: FidelityMeasurement, container: Path, photographs: list[Photograph]
) -> None:
    network = weights.load_container(container, tiny.architecture(), KNOWN).eval().branches.networks[-1]
    for source, pictures in zip(photographs, measurement.pictures, strict=True):
        assert source.lq is not None
        assert torch.equal(pictures.lq, io.to_tensor(source.lq))
        with torch.inference_mode():
            expected = network(pictures.lq[None])[0]
        torch.testing.assert_close(pictures.teacher, expected, rtol=0, atol=1e-5)


def test_every_point_of_the_curve_is_routed_by_its_multiplier(measurement: FidelityMeasurement) -> None:
    teacher, *points = measurement.document["rows"]
    assert teacher == {"max_loss": None, "seconds": teacher["seconds"], "times_faster": 1.0}
    assert [row["max_loss"] for row in points] == [0.9, 0.2, 0.0]
    assert [row["k"] for row in points] == [CHEAPEST, 0.0, DEAREST]
    assert (points[0]["shares"], points[-1]["shares"]) == ([1, 0, 0], [0, 0, 1])
    assert points[-1]["tile_loss_p99"] == pytest.approx(0, abs=0.01)  # a tile lacks the pixels beyond its overlap
    assert points[0]["tile_loss_p99"] > 0.1
    assert points[0]["psnr_to_teacher"] < points[-1]["psnr_to_teacher"]
    assert all(row["times_faster"] == pytest.approx(teacher["seconds"] / row["seconds"]) for row in points)


def test_the_pictures_are_those_of_the_requested_point(measurement: FidelityMeasurement) -> None:
    assert measurement.document["requested"] == 2
    row = measurement.document["rows"][2]
    reached = [psnrs(each.routed, each.teacher, 2)["psnr_rgb@crop2"] for each in measurement.pictures]
    assert row["psnr_to_teacher"] == pytest.approx(sum(reached) / 2)
    assert row["psnr_to_teacher_worst"] == pytest.approx(min(reached))


def test_the_worst_tiles_come_first_and_lie_inside_their_photographs(
    container: Path, photographs: list[Photograph]
) -> None:
    measured = measure(container, photographs, KNOWN, max_loss=5.0)  # the first branch on every tile
    assert measured.document["requested"] == 1
    losses = [tile.loss for tile in measured.worst]
    assert losses == sorted(losses, reverse=True)
    assert max(losses) > min(losses) > 0
    positions = {(tile.photograph, tile.row, tile.column) for tile in measured.worst}
    assert len(positions) == len(measured.worst)
    # Tiles of 16 that overlap by at least 4: rows 0 and 4 of 20, columns 0 to 25 of 41, in pixels of the result.
    assert {(row, column) for number, row, column in positions if number == 0} >= {(0, 0), (8, 0), (0, 50), (8, 50)}
    assert {row for number, row, _ in positions if number == 1} == {0, 14, 28}
    (bird, _), tiling = measured.pictures, plan(20, 41, 16, 4)
    rows, columns = (
        [0, *(first + last for first, last in seams), 2 * length]  # the middles of seams, in pixels of the result
        for seams, length in ((tiling.seams_down, 20), (tiling.seams_right, 41))
    )
    for tile in (tile for tile in measured.worst if tile.photograph == 0):
        down, across = tiling.tops.index(tile.row // 2), tiling.lefts.index(tile.column // 2)
        part = (slice(None), slice(*rows[down : down + 2]), slice(*columns[across : across + 2]))
        error = (bird.routed.clamp(0, 1) - bird.teacher.clamp(0, 1))[part].square().mean().item()
        assert tile.loss == pytest.approx(10 * math.log10(1 + error / 1e-3), rel=1e-3)


def test_the_document_is_json_and_names_the_photographs(measurement: FidelityMeasurement, lines: list[str]) -> None:
    document = json.loads(json.dumps(measurement.document, allow_nan=False))
    assert document["photographs"] == [
        {"name": "bird", "height": 20, "width": 41},
        {"name": "tree", "height": 30, "width": 24},
    ]
    assert (document["runtime"], document["teacher_runtime"], document["device"]) == ("torch", "torch", "cpu")
    psnr = psnrs(measurement.pictures[0].routed, measurement.pictures[0].teacher, 2)["psnr_rgb@crop2"]
    assert lines[0] == f"fidelity: 1/2 bird  {psnr:.2f} dB to the teacher"
    assert len(lines) == 2


class MinusMean(nn.Module):
    """A network whose output depends on the mean of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.enlarge = nn.Sequential(nn.Conv2d(3, 48, 1), nn.Conv2d(48, 12, 1), nn.PixelShuffle(2))

    def forward(self, lq: Tensor) -> Tensor:
        enlarged: Tensor = self.enlarge(lq - lq.mean(dim=(2, 3), keepdim=True))
        return enlarged


class SeesAll(SmallBackbone):
    """A backbone that sees its whole input."""

    def build(self, task: Task) -> nn.Module:
        return MinusMean()

    def reach(self, task: Task) -> None:  # type: ignore[override]  # None is a reach too
        return None


@pytest.fixture
def known() -> Iterator[registry.Registry]:
    with registered({"backbones": {"small": SmallBackbone, "sees_all": SeesAll}, "runtimes": {"picky": Picky}}) as all_:
        yield all_


def test_a_teacher_that_sees_its_whole_input_is_compared_on_the_whole_image(
    known: registry.Registry, tmp_path: Path, photographs: list[Photograph]
) -> None:
    task, classifier = KNOWN.find("tasks", "sr").component(scale=2), tiny.architecture().classifier
    branches = (SmallBackbone(channels=2), SeesAll())
    architecture = Architecture(task=task, branches=branches, classifier=classifier, tile=Tile(size=16, overlap=4))
    path = write_container(tmp_path / "w.safetensors", architecture, known)
    measured = measure(path, photographs[:1], known, max_loss=0.0)
    assert measured.document["rows"][-1]["psnr_to_teacher"] < CEILING
    network = weights.load_container(path, architecture, known).eval().branches.networks[-1]
    with torch.inference_mode():
        whole = network(measured.pictures[0].lq[None])[0]
    torch.testing.assert_close(measured.pictures[0].teacher, whole, rtol=0, atol=1e-5)


class Picky(Runtime):
    """PyTorch, for one size of input only."""

    def missing(self) -> None:
        return None

    def prepare(self, network: Trained, callers: int, device: str) -> Callable[[Tensor], Tensor]:
        module = network.module()

        def run(lq: Tensor) -> Tensor:
            if lq.shape[2:] != (16, 16):
                raise RuntimeError("this graph is for 16x16")
            output: Tensor = module(lq)
            return output

        return run


@pytest.mark.parametrize(("height", "runtime"), [(16, "picky"), (17, "torch")])
def test_pytorch_runs_a_teacher_that_the_runtime_cannot_run_whole(
    height: int,
    runtime: str,
    known: registry.Registry,
    container: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "lowvision")
    bundle, first = trained_networks.read(container, known), photograph(tmp_path, "a", height, 16)
    teacher, name = fidelity._teacher(bundle, Picky(), known, "cpu", first)
    assert name == runtime
    assert teacher(torch.rand(3, height, 16)).shape == (3, 2 * height, 32)
    reason = "fidelity: picky cannot run whole images (RuntimeError: this graph is for 16x16); PyTorch does"
    assert caplog.messages == ([] if runtime == "picky" else [reason])


@given(
    losses=st.lists(st.floats(-0.5, 3), min_size=1, max_size=9).map(tuple),
    count=st.integers(1, 12),
    max_loss=st.floats(0, 3),
)
def test_points_are_in_order_and_the_cheapest_one_within_the_loss_is_requested(
    losses: tuple[float, ...], count: int, max_loss: float
) -> None:
    points = fidelity._points(curve(losses), count, max_loss)
    numbers = [len(losses) - round(way.k) for way in points]
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= count + 1
    assert 0 in numbers
    assert count == 1 or len(losses) - 1 in numbers
    assert all(way.max_loss == max(losses[n], 0) for way, n in zip(points, numbers, strict=True))
    requested = numbers[points.index(fidelity._requested(points, max_loss))]
    within = [n for n, loss in enumerate(losses) if loss <= max_loss]
    assert losses[requested] == min(losses[n] for n in numbers) if not within else requested == within[0]


@given(
    durations=st.lists(st.lists(st.integers(1, 100), min_size=4, max_size=4), min_size=1, max_size=3),
    rounds=st.integers(1, 3),
    rehearses=st.booleans(),
)
def test_ways_are_timed_in_turn_and_the_quickest_round_counts(
    durations: list[list[int]], rounds: int, rehearses: bool
) -> None:
    """durations: seconds of the calls of each way, by a clock that only they advance."""
    clock, calls = [0], list[int]()

    def work(number: int) -> Callable[[], int]:
        def run() -> int:
            clock[0] += durations[number][calls.count(number)]
            calls.append(number)
            return len(calls)

        return run

    ways, count, total = [Way(None) for _ in durations], len(durations), rounds + rehearses
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
        results = fidelity._run([work(number) for number in range(count)], ways, rounds, rehearses)
    assert calls == [*range(count)] * total
    assert results == [*range((total - 1) * count + 1, total * count + 1)]
    assert [way.seconds for way in ways] == [[min(each[rehearses:total])] for each in durations]


@given(
    seconds=st.lists(st.floats(0.01, 10), min_size=1, max_size=4),
    psnr=st.lists(st.floats(10, CEILING), min_size=1, max_size=4),
    teacher=st.floats(0.01, 100),
)
def test_a_row_sums_seconds_and_reports_mean_and_worst(seconds: list[float], psnr: list[float], teacher: float) -> None:
    seams = [(1.0, 2.0), (3.0, 2.0), (math.inf, 1.0), (1.0, 0.0), (1.0, math.inf), (1.0, math.nan)]
    tile_losses = [np.arange(60.0), np.arange(60.0, 101.0)]
    way = Way(0.3, 1.5, seconds, psnr, tile_losses, np.array([1, 3]), seams)
    row = way.summary(teacher)
    assert row["seconds"] == pytest.approx(sum(seconds))
    assert row["times_faster"] == pytest.approx(teacher / sum(seconds))
    assert row["psnr_to_teacher"] == pytest.approx(sum(psnr) / len(psnr))
    assert row["psnr_to_teacher_worst"] == min(psnr)
    assert row["tile_loss_p99"] == pytest.approx(99)
    assert row["shares"] == [0.25, 0.75]
    assert row["seams"] == pytest.approx((0.5 + 1.5) / 2)  # of the photographs whose borders can be compared
    way.seams = []
    assert way.summary(teacher)["seams"] is None


def test_the_tiles_of_all_photographs_are_counted() -> None:
    way, image, tiling = Way(0.3), torch.zeros(3, 40, 40), plan(20, 20, 20, 0)
    engine: Any = SimpleNamespace(scale=2, networks=SimpleNamespace(branches=(0, 1)))
    for branch in (1, 0, 1):
        fidelity._compare(way, RestoredTiles(image, torch.tensor([branch]), 0, tiling), image, engine)
    assert way.tiles.tolist() == [1, 2]
