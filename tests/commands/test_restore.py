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
import safetensors.torch
import tiny

from lowvision.commands import inputs, restore, restore_outcomes
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.errors import DataError, RunError, UsageError, WeightsError
from lowvision.imaging import io
from lowvision.imaging.io import Image
from lowvision.imaging.resize import resize
from lowvision.imaging.target_size import TargetSize
from lowvision.inference import restorer
from lowvision.plugins import registry
from lowvision.system.processes import ProcessGroup

KNOWN = registry.load()
ALONE = ProcessGroup(0, 1)


def pixels(height: int = 24, width: int = 32, channels: int = 3, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    unit = np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)
    return unit if dtype is np.float32 else (unit * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with an empty subfolder `in`."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    return tmp_path


@pytest.fixture
def restored(weights_file: Path) -> Any:
    """Return a function that restores `in` into `out` and returns the document."""

    def run(ending: str | None = None, **options: Any) -> dict[str, Any]:
        planned = inputs.plan(["in"], Path("out"), ending, options.get("draws_maps", False))
        network = restorer.load(weights_file, device="cpu", runtime="torch", registry=KNOWN)
        return restore.restore(planned, network, RestoreOptions(**options), KNOWN, ALONE)

    return run


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_keeps_size_depth_and_channels(
    working_folder: Path, restored: Any, suffix: str, channels: int
) -> None:
    io.write(f"in/a{suffix}", Image(pixels(channels=channels)))
    before = io.read(f"in/a{suffix}").pixels
    assert not restored()["failed"]
    after = io.read(f"out/a{suffix}").pixels
    assert (after.shape, after.dtype) == ((48, 64, before.shape[2]), np.uint8)


@pytest.mark.parametrize(("suffix", "dtype"), [(".png", np.uint16), (".tif", np.uint16), (".tif", np.float32)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_images_stay_16_bit(
    working_folder: Path, restored: Any, suffix: str, dtype: type, channels: int
) -> None:
    io.write(f"in/a{suffix}", Image(pixels(channels=channels, dtype=dtype)))
    assert not restored()["failed"]
    after = io.read(f"out/a{suffix}").pixels
    assert (after.shape, after.dtype) == ((48, 64, channels), dtype)


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("1", 1), ("LA", 4), ("RGBA", 4), ("CMYK", 3)])
def test_every_pillow_mode_is_restored(working_folder: Path, restored: Any, mode: str, channels: int) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    PIL.Image.fromarray(pixels()).convert(mode).save(f"in/a{suffix}")
    assert not restored()["failed"]
    assert io.read(f"out/a{suffix}").pixels.shape == (48, 64, channels)


def test_a_palette_with_transparency_keeps_it(working_folder: Path, restored: Any) -> None:
    picture = PIL.Image.fromarray(pixels()).quantize(8)
    picture.save("in/a.png", transparency=0)
    assert not restored()["failed"]
    assert io.read("out/a.png").pixels.shape == (48, 64, 4)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_the_smallest_images_are_restored(working_folder: Path, restored: Any, size: tuple[int, int]) -> None:
    io.write("in/a.png", Image(pixels(*size)))
    document = restored(draws_maps=True)
    assert not document["failed"]
    assert io.read("out/a.png").pixels.shape == (2 * size[0], 2 * size[1], 3)


def test_exif_icc_and_orientation_are_kept_or_stripped(working_folder: Path, restored: Any) -> None:
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


def test_files_with_spaces_or_non_ascii_or_undecodable_names_are_restored(working_folder: Path, restored: Any) -> None:
    names = ["in/a b.png", "in/写真 é.png", "in/-o.png", os.fsdecode(b"in/\xff.png")]
    for name in names:
        io.write("in/x.png", Image(pixels()))
        Path("in/x.png").rename(name)
    document = restored()
    assert document["total"]["restored"] == 4
    json.dumps(document)
    assert all(Path("out", Path(name).name).exists() for name in names)


def test_a_damaged_file_is_reported_and_the_others_are_restored(working_folder: Path, restored: Any) -> None:
    io.write("in/b good.png", Image(pixels()))
    whole = Path("in/b good.png").read_bytes()
    Path("in/a text.png").write_text("not an image")
    Path("in/c cut.png").write_bytes(whole[: len(whole) // 2])
    Path("in/d empty.jpg").touch()
    nan = pixels(dtype=np.float32)
    nan[0, 0, 0] = np.nan
    io.write("in/e nan.tif", Image(nan))
    document = restored()
    assert [Path(entry["input"]).name for entry in document["images"]] == ["b good.png"]
    reasons = {Path(entry["input"]).name: entry["reason"] for entry in document["failed"]}
    assert reasons.keys() == {"a text.png", "c cut.png", "d empty.jpg", "e nan.tif"}
    for name, reason in [("a", "not an image"), ("c", "truncated"), ("d", "empty"), ("e", "NaN")]:
        assert reason in next(why for file, why in reasons.items() if file.startswith(name))
    assert [path.name for path in Path("out").iterdir()] == ["b good.png"]
    lines = restore_outcomes.text(document).splitlines()
    assert lines[0].startswith("1 restored, 0 skipped, 4 failed; tiles by branch, cheapest first: ")
    assert lines[1] == f"failed: {Path('in/a text.png')}: {reasons['a text.png']}"


def test_a_decompression_bomb_is_refused_and_the_limit_can_be_raised(working_folder: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels(100, 100)))
    assert "limit" in restored(largest=9_999)["failed"][0]["reason"]
    assert not restored(largest=10_000)["failed"]


def test_a_write_error_is_reported(working_folder: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels()))
    Path("in/sub").mkdir()
    io.write("in/sub/b.png", Image(pixels()))
    Path("out").mkdir()
    Path("out/sub").touch()  # a file where a folder is needed
    document = restored()
    assert (document["total"]["restored"], document["total"]["failed"]) == (1, 1)
    assert "File exists" in document["failed"][0]["reason"]


@pytest.mark.parametrize("output", ["file/out", "file/out.png"])
def test_an_unwritable_output_is_reported_before_restoring(working_folder: Path, output: str) -> None:
    Path("file").touch()
    with pytest.raises(UsageError, match="cannot write there"):
        restore.check_writable(Path(output))


def test_an_error_of_a_network_is_a_failure_of_that_file(working_folder: Path, tmp_path: Path) -> None:
    grey = tiny.write_weights(tmp_path / "grey.safetensors", tiny.architecture(channels=1))
    io.write("in/colour.png", Image(pixels()))
    io.write("in/grey.png", Image(pixels(channels=1)))
    network = restorer.load(grey, device="cpu", runtime="torch", registry=KNOWN)
    document = restore.restore(inputs.plan(["in"], Path("out")), network, RestoreOptions(), KNOWN, ALONE)
    assert document["total"]["restored"] == 1
    assert document["failed"] == [{"input": str(Path("in/colour.png")), "reason": document["failed"][0]["reason"]}]
    assert "in colour" in document["failed"][0]["reason"]


def test_an_existing_result_is_skipped_unless_its_map_is_missing(working_folder: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels()))
    restored()
    before = Path("out/a.png").stat().st_mtime_ns
    assert restored(skips_existing=True)["skipped"] == [str(Path("in/a.png"))]
    assert Path("out/a.png").stat().st_mtime_ns == before
    assert restored(skips_existing=True, draws_maps=True)["total"]["restored"] == 1
    assert io.read("out/a.map.png").pixels.shape[2] == 3


def test_format_and_quality_apply_to_all_results(working_folder: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels(channels=4, dtype=np.uint16)))
    sizes = []
    for quality in (10, 90):
        assert not restored(ending=".jpg", quality=quality)["failed"]
        assert io.read("out/a.jpg").pixels.shape == (48, 64, 3)
        sizes.append(Path("out/a.jpg").stat().st_size)
    assert sizes[0] < sizes[1]


def test_the_counts_of_the_document_add_up(working_folder: Path, restored: Any) -> None:
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
    working_folder: Path, restored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(200):
        io.write(f"in/{n:03}.png", Image(pixels(4, 4)))
    order: list[str] = []
    read, write = io.read_frames, io.write_frames
    monkeypatch.setattr(io, "read_frames", lambda path, *more: order.append("read") or read(path, *more))  # type: ignore[func-returns-value]  # None, on purpose
    monkeypatch.setattr(io, "write_frames", lambda path, *more: order.append("write") or write(path, *more))  # type: ignore[func-returns-value]  # None, on purpose
    assert restored()["total"]["restored"] == 200
    assert order == ["read", "write"] * 200


def test_damaged_newer_and_external_weights_are_reported(working_folder: Path, weights_file: Path) -> None:
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


def test_limits_that_weights_cannot_keep_are_refused_before_they_are_loaded(
    working_folder: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restorer, "load", None)
    request = RestoreRequest(
        patterns=("in",), output=Path("out"), weights=weights_file, options=RestoreOptions(max_loss=0.1)
    )
    for function in (restore.run, restore.validate):
        with pytest.raises(UsageError, match="these weights have no curve"):
            function(request, KNOWN)


def _with_header(whole: bytes, change: Any) -> bytes:
    """Return a copy of the weights file with a changed header."""
    (length,) = struct.unpack("<Q", whole[:8])
    head = json.loads(whole[8 : 8 + length])
    header = json.loads(head["__metadata__"]["lowvision"])
    change(header)
    head["__metadata__"]["lowvision"] = json.dumps(header)
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + whole[8 + length :]


def _command(weights_file: Path, *more: str) -> list[str]:
    fixed = "restore in -o out --runtime torch -m"
    return [sys.executable, "-m", "lowvision", *fixed.split(), str(weights_file), *more]


def test_ctrl_c_leaves_only_complete_files(working_folder: Path, weights_file: Path) -> None:
    for n in range(300):
        io.write(f"in/{n:03}.png", Image(pixels(64, 64)))
    working = subprocess.Popen(_command(weights_file, "--device", "cpu"), stderr=subprocess.PIPE, text=True)
    while not any(Path("out").glob("*.png")) and working.poll() is None:
        time.sleep(0.02)
    working.send_signal(signal.SIGINT)
    _, stderr = working.communicate()
    assert working.returncode == 130
    assert "Traceback" not in stderr
    results = list(Path("out").iterdir())
    assert 0 < len(results) < 300
    assert all(path.suffix == ".png" and io.read(path).pixels.shape == (128, 128, 3) for path in results)


def test_two_processes_share_the_files_and_print_one_document(
    working_folder: Path, weights_file: Path, restored: Any
) -> None:
    for n in range(5):
        io.write(f"in/{n}.png", Image(pixels()))
    Path("in/3.png").write_text("bad")
    command = _command(weights_file, "--device", "cpu", "--processes", "2", "--json")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    together = json.loads(done.stdout)
    alone = restored()
    assert [entry["input"] for entry in together["images"]] == [entry["input"] for entry in alone["images"]]
    assert together["failed"] == alone["failed"]
    assert together["total"]["gmac"] == pytest.approx(alone["total"]["gmac"])


@pytest.mark.parametrize(("name", "result"), [("a.png", "a.png"), ("a.gif", "a.png"), ("a.webp", "a.webp")])
def test_all_frames_are_restored_with_their_times_by_default(
    working_folder: Path, restored: Any, name: str, result: str
) -> None:
    frames = [PIL.Image.fromarray(np.full((12, 16, 3), 40 * n + 20, np.uint8)) for n in range(3)]
    frames[0].save(f"in/{name}", save_all=True, append_images=frames[1:], duration=[30, 60, 90], loop=0, lossless=True)
    document = restored()
    assert not document["failed"]
    assert document["images"][0]["frames"] == 3
    written = io.read_frames(f"out/{result}")
    assert written.durations == (30, 60, 90)
    assert [image.pixels.shape[:2] for image in written.images] == [(24, 32)] * 3
    means = [image.pixels[..., :3].mean() for image in written.images]
    assert means == sorted(means)
    assert means[2] - means[0] > 30
    assert restored(only_first_frame=True)["images"][0]["frames"] == 1
    assert io.count_frames(f"out/{result}") == 1


def test_frames_that_the_format_cannot_store_are_refused_before_restoring(working_folder: Path, restored: Any) -> None:
    frames = [PIL.Image.fromarray(pixels(seed=n)) for n in range(2)]
    frames[0].save("in/a.gif", save_all=True, append_images=frames[1:])
    (failed,) = restored(".jpg")["failed"]
    assert "cannot hold 2 frames" in failed["reason"]
    assert "--frames first" in failed["reason"]
    assert not restored(".jpg", only_first_frame=True)["failed"]


def test_lossless_webp_stays_lossless(working_folder: Path, restored: Any) -> None:
    for lossless in (True, False):
        PIL.Image.fromarray(pixels()).save("in/a.webp", lossless=lossless)
        restored()
        assert io.read("out/a.webp").is_lossless_webp is lossless


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"scale": 1.5}, (36, 48)),
        ({"scale": 3}, (72, 96)),
        ({"width": 40}, (30, 40)),
        ({"height": 40}, (40, 53)),
        ({"width": 40, "height": 20}, (20, 27)),
        ({"megapixels": 0.000768}, (24, 32)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_results_have_the_requested_size(
    working_folder: Path, restored: Any, options: dict[str, float], size: tuple[int, int], channels: int
) -> None:
    io.write("in/a.png", Image(pixels(channels=channels)))
    assert not restored(size=TargetSize(**options))["failed"]  # type: ignore[arg-type]
    assert io.read("out/a.png").pixels.shape == (*size, channels)


def test_a_requested_size_is_the_resized_restored_image(working_folder: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels()))
    whole = restored()
    full = io.read("out/a.png").pixels
    smaller = restored(size=TargetSize(scale=1))
    assert smaller["images"][0]["gmac"] == whole["images"][0]["gmac"]
    expected = io.to_uint8(resize(io.to_tensor(full), (24, 32)))
    assert np.abs(io.read("out/a.png").pixels.astype(int) - expected).max() <= 1
    twice = restored(passes=2)
    assert io.read("out/a.png").pixels.shape == (96, 128, 3)
    assert twice["images"][0]["gmac"] > 3 * whole["images"][0]["gmac"]


def test_a_result_too_large_for_its_format_is_reported_before_restoring(working_folder: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels(1, 9000)))
    began = time.perf_counter()
    (failed,) = restored(".webp")["failed"]
    assert "cannot hold an image of 18000x2 pixels, only up to 16383" in failed["reason"]
    assert time.perf_counter() - began < 5


def test_transparent_pixels_get_the_background_in_jpeg(working_folder: Path, restored: Any) -> None:
    clear = np.zeros((16, 16, 4), np.uint8)
    io.write("in/a.png", Image(clear))
    restored(".jpg", background=(255, 255, 255))
    assert io.read("out/a.jpg").pixels.min() >= 254
    restored(".jpg", background=(255, 0, 0))
    assert np.abs(io.read("out/a.jpg").pixels.astype(int) - (255, 0, 0)).max() <= 2


def test_modification_times_are_kept_on_request(working_folder: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels()))
    os.utime("in/a.png", (10**9, 10**9))
    restored()
    assert Path("out/a.png").stat().st_mtime > 1.5e9
    restored(keeps_times=True)
    assert Path("out/a.png").stat().st_mtime == 10**9


def test_ignored_files_are_counted_in_the_summary(working_folder: Path, weights_file: Path) -> None:
    io.write("in/a.png", Image(pixels()))
    for name in ("in/b.heic", "in/c.heic", "in/notes.txt", "in/.hidden"):
        Path(name).touch()
    request = RestoreRequest(
        patterns=("in",), output=Path("out"), weights=weights_file, device="cpu", runtime="torch", name_suffix="_x2"
    )
    document = restore.run(request, KNOWN)
    assert document is not None
    assert document["ignored"] == {".heic": 2, ".txt": 1}
    assert "3 other files in the folders were ignored: 2 .heic, 1 .txt" in restore_outcomes.text(document)
    assert Path("out/a_x2.png").exists()


def test_files_with_long_names_are_restored(working_folder: Path, restored: Any) -> None:
    name = "b" * 244 + ".png"
    io.write("in/a.png", Image(pixels()))
    Path("in/a.png").rename(f"in/{name}")
    assert not restored()["failed"]
    assert Path("out", name).exists()


def test_a_pipe_and_a_circular_link_are_reported_and_do_not_block(working_folder: Path, restored: Any) -> None:
    io.write("in/a.png", Image(pixels()))
    os.mkfifo("in/b.png")
    Path("in/c.png").symlink_to("c.png")
    Path("in/d.png").symlink_to("/dev/zero")
    document = restored()
    assert document["total"]["restored"] == 1
    for name, reason in (("b", "not a regular file"), ("c", "symbolic links"), ("d", "not a regular file")):
        network_free = inputs.plan([f"in/{name}.png"], Path("out"))
        with pytest.raises(DataError, match=reason):
            io.read(network_free[0].path)


def test_a_network_that_returns_nan_is_reported_with_a_remedy(working_folder: Path, weights_file: Path) -> None:
    io.write("in/a.png", Image(pixels()))
    with safetensors.safe_open(weights_file, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        header = file.metadata()
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and "classifier" not in name:
            tensor.fill_(float("nan"))
    safetensors.torch.save_file(tensors, "nan.safetensors", header)
    network = restorer.load("nan.safetensors", device="cpu", runtime="torch", registry=KNOWN)
    planned = inputs.plan(["in"], Path("out"))
    document = restore.restore(planned, network, RestoreOptions(), KNOWN, ALONE)
    (failed,) = document["failed"]
    assert "NaN or infinite values" in failed["reason"]
    assert "--precision f32" in failed["reason"]
    assert not Path("out/a.png").exists()
    with pytest.raises(RunError, match="NaN or infinite values with every runtime"):
        restorer.load("nan.safetensors", device="cpu", runtime="auto", registry=KNOWN)


def test_a_result_name_that_is_too_long_is_reported_before_restoring(
    working_folder: Path, restored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a" * 244, "b", "c" * 248):
        io.write(f"in/{name}.png", Image(pixels()))
    read: list[str] = []
    read_frames = io.read_frames
    monkeypatch.setattr(io, "read_frames", lambda path, *more: read.append(path.name) or read_frames(path, *more))  # type: ignore[func-returns-value]  # None, on purpose
    for skips_existing in (False, True):
        document = restored(draws_maps=True, skips_existing=skips_existing)
        (failed,) = document["failed"]
        assert failed["reason"].startswith(f"the name '{'c' * 24}...' has 256 bytes, more than 255; give a shorter")
    assert read == ["a" * 244 + ".png", "b.png"]
    assert len(list(Path("out").iterdir())) == 4
