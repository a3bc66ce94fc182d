"""Claims about `lowvision restore`: the results of valid files, and that a bad file does not affect the others."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tiny

from lowvision.commands import inputs, restore
from lowvision.commands.restore import RestoreOptions, RestoreRequest
from lowvision.errors import UsageError, WeightsError
from lowvision.imaging import io
from lowvision.imaging.io import Image
from lowvision.inference import restorer
from lowvision.plugins import registry
from lowvision.system.processes import ProcessGroup

KNOWN = registry.load()
ALONE = ProcessGroup(0, 1)


def pixels(height: int = 24, width: int = 32, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    unit = np.random.default_rng(0).random((height, width, channels), dtype=np.float32)
    return unit if dtype is np.float32 else (unit * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands are run, with an empty folder `in`."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    return tmp_path


@pytest.fixture
def restored(weights_file: Path) -> Any:
    """Restores what lies in `in` into `out`; the document."""

    def run(ending: str | None = None, **options: Any) -> dict[str, Any]:
        planned = inputs.plan(["in"], Path("out"), ending, options.get("draws_maps", False))
        network = restorer.load(weights_file, device="cpu", runtime="torch", registry=KNOWN)
        return restore.restore(planned, network, RestoreOptions(**options), KNOWN, ALONE)

    return run


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_keeps_its_size_depth_and_channels(place: Path, restored: Any, suffix: str, channels: int) -> None:
    io.write(f"in/a{suffix}", Image(pixels(channels=channels)))
    before = io.read(f"in/a{suffix}").pixels
    assert not restored()["failed"]
    after = io.read(f"out/a{suffix}").pixels
    assert (after.shape, after.dtype) == ((48, 64, before.shape[2]), np.uint8)


@pytest.mark.parametrize(("suffix", "dtype"), [(".png", np.uint16), (".tif", np.uint16), (".tif", np.float32)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_deep_images_stay_deep(place: Path, restored: Any, suffix: str, dtype: type, channels: int) -> None:
    io.write(f"in/a{suffix}", Image(pixels(channels=channels, dtype=dtype)))
    assert not restored()["failed"]
    after = io.read(f"out/a{suffix}").pixels
    assert (after.shape, after.dtype) == ((48, 64, channels), dtype)


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("1", 1), ("LA", 4), ("RGBA", 4), ("CMYK", 3)])
def test_every_mode_is_restored(place: Path, restored: Any, mode: str, channels: int) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    PIL.Image.fromarray(pixels()).convert(mode).save(f"in/a{suffix}")
    assert not restored()["failed"]
    assert io.read(f"out/a{suffix}").pixels.shape == (48, 64, channels)


def test_a_palette_with_transparency_keeps_it(place: Path, restored: Any) -> None:
    picture = PIL.Image.fromarray(pixels()).quantize(8)
    picture.save("in/a.png", transparency=0)
    assert not restored()["failed"]
    assert io.read("out/a.png").pixels.shape == (48, 64, 4)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_the_smallest_images_are_restored(place: Path, restored: Any, size: tuple[int, int]) -> None:
    io.write("in/a.png", Image(pixels(*size)))
    document = restored(draws_maps=True)
    assert not document["failed"]
    assert io.read("out/a.png").pixels.shape == (2 * size[0], 2 * size[1], 3)


def test_exif_icc_and_orientation_are_kept_or_stripped(place: Path, restored: Any) -> None:
    exif = PIL.Image.Exif()
    exif[271], exif[274] = "Acme", 6
    with PIL.Image.open(_with_profile("in/b.png")) as profiled:
        icc = profiled.info["icc_profile"]
    PIL.Image.fromarray(pixels()).save("in/a.jpg", exif=exif, icc_profile=icc)
    assert not restored()["failed"]
    with PIL.Image.open("out/a.jpg") as kept:
        assert kept.size == (48, 64)  # turned: width and height have changed places
        assert (kept.getexif()[271], kept.getexif()[274]) == ("Acme", 1)
        assert kept.info["icc_profile"] == icc
    restored(strips_metadata=True)
    with PIL.Image.open("out/a.jpg") as stripped:
        assert stripped.size == (48, 64)
        assert not stripped.getexif()
        assert "icc_profile" not in stripped.info


def _with_profile(path: str) -> str:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    PIL.Image.fromarray(pixels()).save(path, icc_profile=profile)
    return path


def test_names_with_spaces_other_letters_and_no_letters_at_all_are_restored(place: Path, restored: Any) -> None:
    names = ["in/a b.png", "in/写真 é.png", "in/-o.png", os.fsdecode(b"in/\xff.png")]
    for name in names:
        io.write("in/x.png", Image(pixels()))
        Path("in/x.png").rename(name)
    document = restored()
    assert document["total"]["restored"] == 4
    json.dumps(document)
    assert all(Path("out", Path(name).name).exists() for name in names)


def test_a_bad_file_is_told_and_costs_no_other(place: Path, restored: Any) -> None:
    io.write("in/b good.png", Image(pixels()))
    whole = Path("in/b good.png").read_bytes()
    Path("in/a text.png").write_text("not an image")
    Path("in/c cut.png").write_bytes(whole[: len(whole) // 2])
    Path("in/d empty.jpg").touch()
    nan = pixels(dtype=np.float32)
    nan[0, 0, 0] = np.nan
    io.write("in/e nan.tif", Image(nan))
    document = restored()
    assert [Path(one["input"]).name for one in document["images"]] == ["b good.png"]
    told = {Path(one["input"]).name: one["reason"] for one in document["failed"]}
    assert told.keys() == {"a text.png", "c cut.png", "d empty.jpg", "e nan.tif"}
    for name, reason in [("a", "not an image"), ("c", "truncated"), ("d", "empty"), ("e", "NaN")]:
        assert reason in next(why for file, why in told.items() if file.startswith(name))
    assert [path.name for path in Path("out").iterdir()] == ["b good.png"]
    lines = restore.text(document).splitlines()
    assert lines[0].startswith("1 restored, 0 skipped, 4 failed; branches ")
    assert lines[1] == f"failed: {Path('in/a text.png')}: {told['a text.png']}"


def test_a_bomb_is_refused_and_the_limit_can_be_raised(place: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels(100, 100)))
    assert "limit" in restored(largest=9_999)["failed"][0]["reason"]
    assert not restored(largest=10_000)["failed"]


def test_what_fails_while_writing_is_told_too(place: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels()))
    Path("in/sub").mkdir()
    io.write("in/sub/b.png", Image(pixels()))
    Path("out").mkdir()
    Path("out/sub").touch()  # a file where a folder is needed
    document = restored()
    assert (document["total"]["restored"], document["total"]["failed"]) == (1, 1)
    assert "File exists" in document["failed"][0]["reason"]


@pytest.mark.parametrize("output", ["file/out", "file/out.png"])
def test_an_output_that_cannot_be_written_is_told_at_once(place: Path, output: str) -> None:
    Path("file").touch()
    with pytest.raises(UsageError, match="cannot write there"):
        restore.check_writable(Path(output))


def test_an_error_of_a_network_is_a_failure_of_that_file(place: Path, tmp_path: Path) -> None:
    grey = tiny.write_weights(tmp_path / "grey.safetensors", tiny.architecture(channels=1))
    io.write("in/colour.png", Image(pixels()))
    io.write("in/grey.png", Image(pixels(channels=1)))
    network = restorer.load(grey, device="cpu", runtime="torch", registry=KNOWN)
    document = restore.restore(inputs.plan(["in"], Path("out")), network, RestoreOptions(), KNOWN, ALONE)
    assert document["total"]["restored"] == 1
    assert document["failed"] == [{"input": str(Path("in/colour.png")), "reason": document["failed"][0]["reason"]}]
    assert "in colour" in document["failed"][0]["reason"]


def test_a_finished_result_is_skipped_unless_its_map_is_wanted(place: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels()))
    restored()
    before = Path("out/a.png").stat().st_mtime_ns
    assert restored(skips_existing=True)["skipped"] == [str(Path("in/a.png"))]
    assert Path("out/a.png").stat().st_mtime_ns == before
    assert restored(skips_existing=True, draws_maps=True)["total"]["restored"] == 1
    assert io.read("out/a.map.png").pixels.shape[2] == 3


def test_a_format_and_its_quality_are_for_all_results(place: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels(channels=4, dtype=np.uint16)))
    sizes = []
    for quality in (10, 90):
        assert not restored(ending=".jpg", quality=quality)["failed"]
        assert io.read("out/a.jpg").pixels.shape == (48, 64, 3)
        sizes.append(Path("out/a.jpg").stat().st_size)
    assert sizes[0] < sizes[1]


def test_the_document_adds_up(place: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels(40, 40)))
    io.write("in/b.png", Image(pixels(16, 16)))
    document = restored()
    assert document["task"]["sr"]["scale"] == 2
    large, small = document["images"]
    assert (large["height"], large["width"]) == (40, 40)
    total = document["total"]
    assert total["gmac"] == pytest.approx(large["gmac"] + small["gmac"])
    assert total["share_of_base"] == pytest.approx(total["gmac"] / total["gmac_of_base"])
    assert total["shares"] == pytest.approx(
        [(16 * a + b) / 17 for a, b in zip(large["shares"], small["shares"], strict=True)]
    )
    assert large["seconds"] < total["seconds"]


def test_hundreds_of_files_are_restored_one_at_a_time(
    place: Path, restored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(200):
        io.write(f"in/{n:03}.png", Image(pixels(4, 4)))
    order: list[str] = []
    read, write = io.read, io.write
    monkeypatch.setattr(io, "read", lambda path, *more: order.append("read") or read(path, *more))  # type: ignore[func-returns-value]  # None, on purpose
    monkeypatch.setattr(io, "write", lambda path, *more: order.append("write") or write(path, *more))  # type: ignore[func-returns-value]  # None, on purpose
    assert restored()["total"]["restored"] == 200
    assert order == ["read", "write"] * 200


def test_damaged_new_and_foreign_weights_are_told(place: Path, weights_file: Path) -> None:
    def refused(content: bytes, reason: str) -> None:
        Path("bad.safetensors").write_bytes(content)
        with pytest.raises(WeightsError, match=reason):
            restore.validate(RestoreRequest(patterns=(), output=Path("out"), weights=Path("bad.safetensors")), KNOWN)

    whole = weights_file.read_bytes()
    refused(whole[: len(whole) // 2], "not a complete safetensors file")
    refused(whole[:100], "not a complete safetensors file")
    refused(b"", "not a complete safetensors file")
    refused(_with_header(whole, lambda header: header.update(format=99)), "format 99 is newer")

    def as_strangers(header: dict[str, Any]) -> None:
        header["architecture"]["branches"][0] = {"acme_net": {}}
        header["plugins"] = {"lowvision-acme": "1.2"}

    refused(_with_header(whole, as_strangers), r"acme_net.*lowvision-acme 1\.2")


def _with_header(whole: bytes, change: Any) -> bytes:
    """The weights file with its header changed."""
    (length,) = struct.unpack("<Q", whole[:8])
    head = json.loads(whole[8 : 8 + length])
    header = json.loads(head["__metadata__"]["lowvision"])
    change(header)
    head["__metadata__"]["lowvision"] = json.dumps(header)
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + whole[8 + length :]


def _command(weights_file: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "lowvision", "restore", "in", "-o", "out", "-m", str(weights_file), *more]


def test_ctrl_c_leaves_whole_files_alone(place: Path, weights_file: Path) -> None:
    for n in range(300):
        io.write(f"in/{n:03}.png", Image(pixels(64, 64)))
    working = subprocess.Popen(_command(weights_file, "--device", "cpu"), stderr=subprocess.PIPE, text=True)
    while not any(Path("out").glob("*.png")) and working.poll() is None:
        time.sleep(0.02)
    working.send_signal(signal.SIGINT)
    _, said = working.communicate()
    assert working.returncode == 130
    assert "Traceback" not in said
    made = list(Path("out").iterdir())
    assert 0 < len(made) < 300
    assert all(path.suffix == ".png" and io.read(path).pixels.shape == (128, 128, 3) for path in made)


def test_two_processes_share_the_files_and_answer_as_one(place: Path, weights_file: Path, restored: Any) -> None:
    for n in range(5):
        io.write(f"in/{n}.png", Image(pixels()))
    Path("in/3.png").write_text("bad")
    words = _command(weights_file, "--device", "cpu", "--processes", "2", "--json")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    together = json.loads(done.stdout)
    alone = restored()
    assert [one["input"] for one in together["images"]] == [one["input"] for one in alone["images"]]
    assert together["failed"] == alone["failed"]
    assert together["total"]["gmac"] == pytest.approx(alone["total"]["gmac"])
