"""Claims about restoring one input: its checks before the work, its result and the line that reports it."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowvision.commands import restore_one
from lowvision.commands.inputs import Input
from lowvision.commands.restore_outcomes import Done, Failed, Skipped
from lowvision.commands.restore_request import RestoreOptions
from lowvision.imaging import io
from lowvision.imaging.image import Frames
from lowvision.imaging.io import Image
from lowvision.imaging.target_size import TargetSize
from lowvision.inference import restorer
from lowvision.inference.restorer import Restorer
from lowvision.system.progress import Progress

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)


class Lines(Progress):
    """Keeps the lines that report inputs."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, name: str) -> None:
        self.lines.append(name)

    def move(self, done: int, total: int) -> None:
        pass

    def end(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def network(weights_file: Path) -> Restorer:
    return restorer.load(weights_file, device="cpu", runtime="torch")


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Input:
    """Change to a folder with an image."""
    monkeypatch.chdir(tmp_path)
    io.write("a.png", Image(PIXELS))
    return Input(Path("a.png"), Path("out/b.png"))


def outcome(image: Input, network: Restorer, **options: Any) -> tuple[Any, list[str]]:
    progress = Lines()
    return restore_one.outcome_of(image, network, RestoreOptions(**options), progress), progress.lines


def test_a_result_is_written_and_reported_with_sizes_and_cost(image: Input, network: Restorer) -> None:
    done, lines = outcome(image, network)
    assert isinstance(done, Done)
    assert np.array_equal(io.read("out/b.png").pixels, network.restore(PIXELS).image)
    assert (done.height, done.width, done.result_height, done.result_width) == (20, 24, 40, 48)
    assert lines[0] == "a.png"
    assert lines[1].startswith("a.png -> out/b.png: 24x20 -> 48x40, ")
    assert f"{done.cost / done.base_cost:.0%} of the base" in lines[1]


@pytest.mark.parametrize(("content", "skipped"), [(b"complete", True), (b"", False)])
def test_only_a_result_that_is_complete_is_skipped(
    image: Input, network: Restorer, content: bytes, skipped: bool
) -> None:
    Path("out").mkdir()
    Path("out/b.png").write_bytes(content)
    result, lines = outcome(image, network, skips_existing=True)
    assert isinstance(result, Skipped) == skipped
    assert ("skipped, its result exists" in lines[1]) == skipped


def test_the_reason_of_a_failure_does_not_repeat_the_name(image: Input, network: Restorer) -> None:
    Path("a.png").write_bytes(b"no image")
    failed, lines = outcome(image, network)
    assert isinstance(failed, Failed)
    assert failed.reason.startswith("not an image of a known format; convert it")
    assert lines[1].startswith("a.png: failed: not an image")
    assert not Path("out/b.png").exists()


def test_an_unexpected_error_of_a_runtime_is_a_failure_of_this_input(
    image: Input, network: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("no\nkernel")

    monkeypatch.setattr(Restorer, "restore", fail)
    failed, _ = outcome(image, network)
    assert failed.reason.startswith("KeyError: ")
    assert "\n" not in failed.reason


def test_memory_that_runs_out_is_a_failure_with_a_way_out(
    image: Input, network: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 6400000000 bytes")

    monkeypatch.setattr(Restorer, "restore", fail)
    failed, _ = outcome(image, network)
    assert failed.reason.startswith("memory ran out; request a smaller result")


def test_an_error_of_the_file_system_names_the_file(image: Input, network: Restorer) -> None:
    Path("out").write_bytes(b"a file where the folder shall be")
    failed, _ = outcome(image, network)
    assert failed.reason == "out: File exists"


def test_a_name_that_is_too_long_is_reported_before_the_image_is_read(image: Input, network: Restorer) -> None:
    Path("a.png").unlink()
    for long in (
        Input(image.path, Path("out", f"{'b' * 260}.png")),
        Input(image.path, Path("out", f"{'b' * 249}.png")),
    ):
        failed, _ = outcome(long, network, draws_maps=True)
        assert "bytes, more than 255; give a shorter --suffix, or rename the input" in failed.reason


def test_a_size_that_the_format_cannot_hold_is_reported_before_the_work(
    image: Input, network: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Restorer, "restore", lambda *_, **__: pytest.fail("the network ran"))
    webp = replace(image, result=Path("out/b.webp"))
    failed, _ = outcome(webp, network, size=TargetSize(width=20_000))
    assert ".webp cannot hold an image of 20000x16667 pixels" in failed.reason


def test_passes_add_up_and_the_size_is_that_of_the_last_one(image: Input, network: Restorer) -> None:
    once, _ = outcome(image, network)
    twice, _ = outcome(image, network, passes=2)
    assert (twice.result_height, twice.result_width) == (80, 96)
    assert twice.cost > 2 * once.cost
    assert twice.base_cost == (1 + 4) * once.base_cost


def test_passes_whose_last_input_is_too_large_are_refused_before_the_work(
    image: Input, network: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = network.scale**2 * 20 * 24
    fits, _ = outcome(image, network, passes=2, largest=most)
    assert isinstance(fits, Done)
    monkeypatch.setattr(Restorer, "restore", lambda *_, **__: pytest.fail("the network ran"))
    for passes, largest in ((2, most - 1), (9, 1e7)):
        failed, _ = outcome(image, network, passes=passes, largest=largest)
        assert failed.reason.startswith(f"the input of pass {passes} would have ")
        assert failed.reason.endswith("give fewer --passes, or raise --max-megapixels")


def test_metadata_and_times_are_kept_or_left_out(image: Input, network: Restorer) -> None:
    profile = bytes(16) + b"RGB " + bytes(100)
    io.write("a.png", Image(PIXELS, icc=profile))
    os.utime("a.png", ns=(10**18, 10**18))
    outcome(image, network, keeps_times=True)
    assert Path("out/b.png").stat().st_mtime_ns == 10**18
    assert io.read("out/b.png").icc == profile
    outcome(image, network, strips_metadata=True)
    assert io.read("out/b.png").icc is None
    assert Path("out/b.png").stat().st_mtime_ns != 10**18


def test_only_the_first_frame_is_restored_on_request(image: Input, network: Restorer) -> None:
    io.write_frames("a.png", Frames([Image(PIXELS), Image(PIXELS[::-1])], (40.0, 40.0)))
    both, lines = outcome(image, network)
    assert both.frames == 2
    assert "48x40, 2 frames" in lines[1]
    first, _ = outcome(image, network, only_first_frame=True)
    assert first.frames == 1
    assert both.cost == 2 * first.cost


def test_a_budget_that_is_exceeded_is_reported(image: Input, network: Restorer) -> None:
    done = Done(image, 20, 24, (1, 1), cost=70, base_cost=100, seconds=0.5, result_height=40, result_width=48)
    options = RestoreOptions(budget=0.6)
    line = restore_one.line_of(done, network, options)
    assert line.endswith("70% of the base, 0.50 s; over the budget of 60%: no cheaper route exists")
    assert "over" not in restore_one.line_of(replace(done, cost=60), network, options)


def test_transparency_in_jpeg_is_announced_once(
    image: Input, network: Restorer, caplog: pytest.LogCaptureFixture
) -> None:
    restore_one._say_composited.cache_clear()
    io.write("a.png", Image(np.concatenate([PIXELS, PIXELS[..., :1]], axis=2)))
    with caplog.at_level(logging.INFO, logger="lowvision"):
        for name in ("b", "c"):
            outcome(replace(image, result=Path(f"out/{name}.jpg")), network)
    assert sum("JPEG has no transparency" in message for message in caplog.messages) == 1
