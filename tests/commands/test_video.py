"""Claims about `lowvision restore` for clips: what a result keeps of its clip, and how clips fail."""

from __future__ import annotations

import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import clips
import numpy as np
import pytest

from lowvision.commands import clip_one, video
from lowvision.commands.clip_request import ClipOptions
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.imaging import io
from lowvision.inference import restorer
from lowvision.plugins import registry
from lowvision.video.selection import Span

KNOWN = registry.load()


@pytest.fixture
def restored(weights_file: Path, tmp_path: Path) -> Any:
    """Return a function that restores a clip and returns its entry of the document."""

    def run(clip: Path | str, result: str = "out.mp4", options: Any = None, **clip_options: Any) -> dict[str, Any]:
        request = RestoreRequest(
            patterns=(str(clip),),
            output=tmp_path / result,
            weights=weights_file,
            options=options or RestoreOptions(),
            device="cpu",
            runtime="torch",
        )
        document = video.run(request, ClipOptions(**clip_options), KNOWN)
        assert document["failed"] == []
        return document["clips"][0]

    return run


def test_a_result_is_larger_and_keeps_frames_times_and_title(restored: Any, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "a.mp4", clips.drawn(7))
    entry = restored(clip)
    after = clips.decoded(tmp_path / "out.mp4")
    assert entry["frames"] == len(after) == 7
    assert {(frame.height, frame.width) for frame in after} == {(96, 128)}
    assert clips.times(tmp_path / "out.mp4") == clips.times(clip)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.metadata["title"] == "A clip"


def test_frames_equal_the_results_of_restoring_images(restored: Any, weights_file: Path, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "a.mkv", clips.drawn(3), codec="ffv1", pixel_format="yuv444p", options={"level": "3"})
    restored(clip, "out.mkv", codec="ffv1")
    network = restorer.load(weights_file, device="cpu", runtime="torch", registry=KNOWN)
    for before, after in zip(clips.decoded(clip), clips.decoded(tmp_path / "out.mkv"), strict=True):
        expected = network.restore(before.to_ndarray(format="rgb24")).image.astype(int)
        assert np.abs(after.to_ndarray(format="rgb24").astype(int) - expected).max() <= 6  # rounding of YUV, twice


def test_audio_is_copied_byte_by_byte(restored: Any, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "a.mp4", clips.drawn(10), has_sound=True)
    restored(clip)
    assert len(clips.sound(clip)) > 10
    assert clips.sound(tmp_path / "out.mp4") == clips.sound(clip)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.streams.audio[0].metadata["language"] == "deu"


def test_variable_frame_rate_is_kept(restored: Any, tmp_path: Path) -> None:
    times = [0, 40, 45, 200, 201, 900, 1000, 4000, 4100]  # milliseconds; the clip has three segments
    clip = clips.write(tmp_path / "a.mkv", clips.drawn(len(times)), times=times)
    restored(clip, "out.mkv")
    assert clips.times(tmp_path / "out.mkv") == clips.times(clip)
    assert [round(1000 * each) for each in clips.times(clip)] == times


@pytest.mark.parametrize(("matrix", "spread", "primaries", "transfer"), [(1, 1, 1, 1), (5, 2, 5, 6), (9, 1, 9, 16)])
def test_colour_tags_are_kept(
    restored: Any, tmp_path: Path, matrix: int, spread: int, primaries: int, transfer: int
) -> None:
    tags = {"colorspace": matrix, "color_range": spread, "color_primaries": primaries, "color_trc": transfer}
    restored(clips.write(tmp_path / "a.mp4", clips.drawn(2), **tags))
    frame = clips.decoded(tmp_path / "out.mp4")[0]
    assert (frame.colorspace, frame.color_range) == (matrix, spread)
    assert (frame.color_primaries, frame.color_trc) == (primaries, transfer)


def test_an_unknown_colour_matrix_is_written_as_players_assume_it(restored: Any, tmp_path: Path) -> None:
    restored(clips.write(tmp_path / "a.mp4", clips.drawn(2)))
    assert clips.decoded(tmp_path / "out.mp4")[0].colorspace == 6  # BT.601: the clip is small, its result need not be


def test_ten_bit_clips_stay_10_bit(restored: Any, tmp_path: Path) -> None:
    deep = [frame.astype(np.uint16) * 257 for frame in clips.drawn(2)]
    restored(clips.write(tmp_path / "a.mp4", deep, pixel_format="yuv420p10le"))
    assert clips.decoded(tmp_path / "out.mp4")[0].format.name == "yuv420p10le"


def test_pixel_aspect_and_rotation_are_kept(restored: Any, tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.height, stream.width = 48, 64
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        stream.set_display_rotation(90)
        for pixels in clips.drawn(2):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        file.mux(stream.encode(None))
    restored(clip)
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.streams.video[0].sample_aspect_ratio == Fraction(16, 11)
        assert next(file.decode(video=0)).rotation == 90


def test_a_range_of_frames_keeps_its_audio(restored: Any, tmp_path: Path) -> None:
    clip = clips.write(tmp_path / "a.mp4", clips.drawn(25), has_sound=True)
    restored(clip, span=Span(10, 20))
    assert clips.times(tmp_path / "out.mp4") == [each - clips.times(clip)[10] for each in clips.times(clip)[10:20]]
    kept = [data for time, data in clips.sound(clip) if 0.4 <= time < 0.8]
    assert [data for _, data in clips.sound(tmp_path / "out.mp4")] == kept
    first = clips.decoded(tmp_path / "out.mp4")[0].to_ndarray(format="rgb24")
    assert first[16, 2 * (2 + 2 * 10 + 4)].tolist()[0] > 150  # the square of frame 10


@pytest.mark.parametrize("codec", ["hevc", "av1", "vp9", "ffv1", "prores"])
def test_the_output_of_every_codec_can_be_read(restored: Any, tmp_path: Path, codec: str) -> None:
    clip = clips.write(tmp_path / "a.mp4", clips.drawn(4))
    assert restored(clip, "out.mkv", codec=codec)["codec"] == codec
    assert len(clips.decoded(tmp_path / "out.mkv")) == 4


def test_interlaced_clips_are_refused_with_a_remedy(weights_file: Path, tmp_path: Path) -> None:
    options = {"flags": "+ildct+ilme", "x264-params": "interlaced=1"}
    clip = clips.write(tmp_path / "a.mp4", clips.drawn(4, 64), options=options)
    request = RestoreRequest(
        patterns=(str(clip),), output=tmp_path / "out.mp4", weights=weights_file, device="cpu", runtime="torch"
    )
    (failed,) = video.run(request, ClipOptions(), KNOWN)["failed"]
    assert "interlaced" in failed["reason"]
    assert "bwdif" in failed["reason"]
    assert not (tmp_path / "out.mp4").exists()


def test_a_file_that_is_not_a_clip_is_reported_and_the_next_is_restored(weights_file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video" * 50)
    clips.write(tmp_path / "b.mp4", clips.drawn(2))
    request = RestoreRequest(
        patterns=(str(tmp_path / "*.mp4"),),
        output=tmp_path / "out",
        weights=weights_file,
        device="cpu",
        runtime="torch",
    )
    document = video.run(request, ClipOptions(), KNOWN)
    assert [failed["input"] for failed in document["failed"]] == [str(tmp_path / "a.mp4")]
    assert len(clips.decoded(tmp_path / "out" / "b.mp4")) == 2


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "libvpx-vp9"])
def test_damaged_frames_are_replaced_by_the_last_good_one(
    restored: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str
) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {"g": "10"}
    clip = clips.write(tmp_path / "a.mkv", clips.drawn(30, 96, 128), codec=codec, options=options)
    clips.damage(clip, packets=(5,))
    entry = restored(clip, "out.mkv")
    assert entry["frames"] == len(clips.decoded(tmp_path / "out.mkv")) == 30
    assert entry["broken_frames"] >= 1
    assert "is broken; the last good one is repeated" in caplog.text


KILLED = """
import os, signal, sys
from lowvision import cli
from lowvision.commands import clip_one

restore, left = clip_one.FrameRestorer.restore, iter(range(8))
def restore_or_die(self, frame):
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return restore(self, frame)
clip_one.FrameRestorer.restore = restore_or_die
cli.main()
"""


def test_a_killed_run_resumes_at_the_next_segment(
    restored: Any, weights_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips.write(tmp_path / "a.mp4", clips.drawn(16), rate=3, has_sound=True)  # segments of 6 frames
    restored(clip, "whole.mp4")
    result = tmp_path / "killed.mp4"
    arguments = ["restore", str(clip), "-o", str(result), "-m", str(weights_file), "--device", "cpu"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments, "--runtime", "torch"], check=False, timeout=200)
    assert killed.returncode == -signal.SIGKILL
    assert not result.exists()
    numbers = []
    restore = clip_one.FrameRestorer.restore
    monkeypatch.setattr(
        clip_one.FrameRestorer, "restore", lambda self, frame: numbers.append(frame.number) or restore(self, frame)
    )
    assert restored(clip, "killed.mp4", RestoreOptions(largest=250e6))["frames"] == 16
    assert numbers == list(range(6, 16))
    assert result.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "killed.mp4", "whole.mp4"]


def test_an_image_sequence_is_written_as_a_clip_and_vice_versa(restored: Any, tmp_path: Path) -> None:
    for number, pixels in enumerate(clips.drawn(4), start=7):
        io.write(tmp_path / f"in_{number:03d}.png", io.Image(pixels))
    restored(tmp_path / "in_%03d.png", "out.mkv", rate=12.5, codec="ffv1")
    assert clips.times(tmp_path / "out.mkv") == [Fraction(n, 1000) for n in (0, 80, 160, 240)]
    entry = restored(tmp_path / "out.mkv", "images/%02d.png", span=Span(1))
    assert entry["codec"] == "png"
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["01.png", "02.png", "03.png"]
    assert io.read(tmp_path / "images" / "03.png").pixels.shape == (192, 256, 3)


def test_subtitles_chapters_and_fonts_are_kept(restored: Any, tmp_path: Path) -> None:
    clip = clips.write_with_subtitles(tmp_path / "a.mkv", clips.drawn(10))
    restored(clip, "out.mkv")
    assert clips.subtitles(tmp_path / "out.mkv") == clips.subtitles(clip)
    assert [text for _, text in clips.subtitles(clip)] == [b"Bonjour", b"Salut"]
    assert clips.chapters(tmp_path / "out.mkv") == clips.chapters(clip)
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert file.streams.subtitles[0].metadata["language"] == "fra"
        assert [stream.data for stream in file.streams if stream.type == "attachment"] == [b"no real font"]


def test_a_range_of_frames_keeps_its_subtitles_and_chapters(restored: Any, tmp_path: Path) -> None:
    clip = clips.write_with_subtitles(tmp_path / "a.mkv", clips.drawn(10))
    restored(clip, "out.mkv", span=Span(4, 9))
    assert clips.subtitles(tmp_path / "out.mkv") == [(Fraction(1, 5), b"Salut")]
    tenth = Fraction(1, 10)
    assert clips.chapters(tmp_path / "out.mkv") == [(0, tenth, "One"), (tenth, 5 * tenth, "Two")]


def test_streams_that_a_container_cannot_store_are_named(
    restored: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = clips.write_with_subtitles(tmp_path / "a.mkv", clips.drawn(10))
    restored(clip, "out.mp4")
    assert len(clips.decoded(tmp_path / "out.mp4")) == 10
    assert "stream 1 (subtitle) is left out" in caplog.text
    assert "stream 2 (attachment) is left out: only Matroska" in caplog.text
