"""Claims about one clip: how its frames are restored and counted, and when an interrupted run goes on."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import clips
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lowvision.commands import clip_one
from lowvision.commands.clip_one import FrameRestorer
from lowvision.commands.clip_request import Clip, ClipOptions
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.errors import DataError, UsageError
from lowvision.imaging import io
from lowvision.imaging.target_size import TargetSize
from lowvision.inference import restorer
from lowvision.inference.restorer import Restorer
from lowvision.plugins import registry
from lowvision.video.reader import Frame
from lowvision.video.selection import Span

SIZE = (20, 24)
IMAGES = [np.random.default_rng(n).integers(0, 256, (*SIZE, 3), dtype=np.uint8) for n in range(2)]


@pytest.fixture(scope="module")
def network(weights_file: Path) -> Restorer:
    return restorer.load(weights_file, device="cpu", runtime="torch", registry=registry.load())


@pytest.fixture(scope="module")
def restored(network: Restorer) -> list[NDArray[Any]]:
    """Return the results of both images."""
    return [network.restore(image).image for image in IMAGES]


def frames_of(network: Restorer, size: tuple[int, int] = (40, 48), **options: Any) -> FrameRestorer:
    return FrameRestorer(network, RestoreOptions(**options), "exact", size)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=3), min_size=1, max_size=2))
def test_a_frame_is_restored_like_an_image_and_a_broken_one_repeats_the_last_result_of_its_segment(
    network: Restorer, restored: list[NDArray[Any]], segments: list[list[tuple[bool, bool]]]
) -> None:
    frames, once = frames_of(network), network.restore(IMAGES[0])
    for segment in segments:
        frames.begin_segment()
        shown: NDArray[Any] | None = None
        computed = 0
        for number, (image, is_broken) in enumerate(segment):
            repeats = is_broken and shown is not None
            shown = shown if repeats else restored[image]
            computed += not repeats
            np.testing.assert_array_equal(frames.restore(Frame(number, number, IMAGES[image], is_broken)), shown)
        counts = frames.summary()
        assert counts["broken_frames"] == sum(is_broken for _, is_broken in segment)
        assert counts["tiles"] == computed * sum(once.tiles)
        assert counts["base_cost"] == computed * once.base_cost


def test_a_segment_starts_without_memory_of_the_one_before(network: Restorer) -> None:
    frames, summaries = frames_of(network), []
    for _ in range(2):
        frames.begin_segment()
        for number in range(2):
            frames.restore(Frame(number, number, IMAGES[0]))
        summaries.append(frames.summary())
    assert summaries[0] == summaries[1]
    assert summaries[0]["reused_tiles"] == summaries[0]["tiles"] / 2 > 0
    assert summaries[0]["cost"] == network.restore(IMAGES[0]).cost


def test_a_scene_cut_is_counted(network: Restorer) -> None:
    frames = frames_of(network)
    for number, level in enumerate((20, 20, 230, 230)):
        frames.restore(Frame(number, number, np.full((*SIZE, 3), level, np.uint8)))
    assert frames.summary()["scene_cuts"] == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_result_of_another_size_is_resized_and_keeps_its_type(dtype: type, network: Restorer) -> None:
    flat = np.full((*SIZE, 3), np.iinfo(dtype).max // 4, dtype)
    resized = frames_of(network, (30, 36)).restore(Frame(0, 0, flat))
    assert (resized.shape, resized.dtype) == ((30, 36, 3), dtype)
    expected = network.restore(flat).image[20, 24].astype(int)
    assert abs(resized[15, 18].astype(int) - expected).max() <= np.iinfo(dtype).max // 100


@pytest.mark.parametrize("limit", [{"budget": -1.0}, {"max_loss": 1.0}, {"speed": "fast"}, {"worst": 1.0}], ids=str)
def test_every_limit_applies_to_frames(limit: dict[str, Any], network: Restorer) -> None:
    with pytest.raises(UsageError, match=r"budget|no curve"):
        frames_of(network, **limit).restore(Frame(0, 0, IMAGES[0]))


def request_for(weights: Path, **options: Any) -> RestoreRequest:
    restore = RestoreOptions(**options)
    return RestoreRequest(patterns=(), output=weights, weights=weights, options=restore, device="cpu", runtime="torch")


def write_sequence(folder: Path, levels: list[int]) -> Path:
    """Write images of one level each; return their pattern."""
    for number, level in enumerate(levels):
        io.write(folder / f"in_{number}.png", io.Image(np.full((*SIZE, 3), level, np.uint8)))
    return folder / "in_%d.png"


def test_the_entry_sums_up_the_segments_which_are_deleted(
    network: Restorer, weights_file: Path, tmp_path: Path
) -> None:
    clip = Clip(write_sequence(tmp_path, [20, 20, 20]), tmp_path / "out_%d.png")
    entry = clip_one.restore_clip(clip, network, request_for(weights_file), ClipOptions(rate=1.0))  # 2 segments
    alone = network.restore(np.full((*SIZE, 3), 20, np.uint8))
    sizes = {"height": 20, "width": 24, "result_height": 40, "result_width": 48}
    counts = {"frames": 3, "broken_frames": 0, "scene_cuts": 0, "codec": "png"}
    assert (sizes | counts).items() <= entry.items()
    assert (entry["input"], entry["result"]) == (str(clip.path), str(clip.result))
    assert entry["share_reused"] == pytest.approx(1 / 3)
    assert entry["gmac"] == pytest.approx(2 * alone.cost / 1e9)
    assert entry["gmac_of_base"] == pytest.approx(3 * alone.base_cost / 1e9)
    assert entry["share_of_base"] == pytest.approx(entry["gmac"] / entry["gmac_of_base"])
    assert 0 < 3 / entry["fps"] <= entry["seconds"]
    assert {path.name for path in tmp_path.iterdir()} == {f"{kind}_{n}.png" for kind in ("in", "out") for n in range(3)}


def interrupt(clip: Clip, network: Restorer, request: RestoreRequest) -> None:
    """Restore the first segment of a clip, and fail in the second."""
    with pytest.MonkeyPatch.context() as patch:
        restore = FrameRestorer.restore

        def restore_or_fail(self: FrameRestorer, frame: Frame) -> NDArray[Any]:
            if frame.number == 2:
                raise DataError("interrupted")
            return restore(self, frame)

        patch.setattr(FrameRestorer, "restore", restore_or_fail)
        with pytest.raises(DataError, match="interrupted"):
            clip_one.restore_clip(clip, network, request, ClipOptions(rate=1.0))


@pytest.mark.parametrize("change", ["nothing", "an image", "a time", "the weights", "an option", "the rate"])
def test_an_interrupted_run_goes_on_only_if_nothing_changed(
    change: str, network: Restorer, weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(weights_file.read_bytes())
    clip, request, rate = Clip(write_sequence(tmp_path, [20] * 4), tmp_path / "out_%d.png"), request_for(weights), 1.0
    interrupt(clip, network, request)
    match change:
        case "an image":
            (tmp_path / "in_0.png").unlink()
            write_sequence(tmp_path, [200])
        case "a time":
            os.utime(tmp_path / "in_1.png", ns=(1, 1))
        case "the weights":
            os.utime(weights, ns=(1, 1))
        case "an option":
            request = replace(request, options=RestoreOptions(budget=0.9))
        case "the rate":
            rate = 1.1
    numbers = []
    restore = FrameRestorer.restore
    monkeypatch.setattr(
        FrameRestorer, "restore", lambda self, frame: numbers.append(frame.number) or restore(self, frame)
    )
    assert clip_one.restore_clip(clip, network, request, ClipOptions(rate=rate))["frames"] == 4
    assert numbers == ([2, 3] if change == "nothing" else [0, 1, 2, 3])


def test_another_graph_in_the_folder_of_an_exported_package_changes_its_identity(tmp_path: Path) -> None:
    (tmp_path / "branch_0.onnx").write_bytes(b"one")
    before = clip_one._identity(tmp_path)
    times = tmp_path.stat()
    (tmp_path / "branch_0.onnx").write_bytes(b"another")
    os.utime(tmp_path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert clip_one._identity(tmp_path) != before


def test_a_clip_larger_than_the_limit_is_refused(network: Restorer, weights_file: Path, tmp_path: Path) -> None:
    clip = Clip(write_sequence(tmp_path, [20]), tmp_path / "out_%d.png")
    with pytest.raises(DataError, match="has more pixels than --max-megapixels allows; raise the limit"):
        clip_one.restore_clip(clip, network, request_for(weights_file, largest=20 * 24 - 1), ClipOptions())
    assert (
        clip_one.restore_clip(clip, network, request_for(weights_file, largest=20 * 24), ClipOptions())["frames"] == 1
    )


@pytest.mark.parametrize("keeps_times", [True, False])
def test_a_result_has_the_time_of_its_clip_if_requested(
    keeps_times: bool, network: Restorer, weights_file: Path, tmp_path: Path
) -> None:
    source = clips.write(tmp_path / "a.mkv", clips.drawn(2))
    os.utime(source, (1e9, 1e9))
    request = request_for(weights_file, keeps_times=keeps_times, size=TargetSize(scale=1), strips_metadata=keeps_times)
    clip, options = Clip(source, tmp_path / "out.mkv"), ClipOptions(span=Span(1), codec="ffv1")
    entry = clip_one.restore_clip(clip, network, request, options)
    assert (entry["codec"], entry["frames"], entry["result_height"], entry["result_width"]) == ("ffv1", 1, 48, 64)
    assert (clip.result.stat().st_mtime == 1e9) == keeps_times
    with av.open(str(clip.result)) as file:
        assert ("title" in file.metadata) != keeps_times
