"""Claims about `lowvision restore` with URLs: archives and other file systems are read and written like folders."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowvision import cli
from lowvision.commands import inputs
from lowvision.errors import UsageError
from lowvision.imaging import io
from lowvision.imaging.io import Image
from lowvision.system import locations

fsspec = pytest.importorskip("fsspec")


def photograph(path: Path, seed: int) -> bytes:
    io.write(path, Image(np.random.default_rng(seed).integers(0, 256, (17, 20, 3), dtype=np.uint8)))
    return path.read_bytes()


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of two photographs, a damaged one and a text."""
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("photos.zip", "w") as file:
        for seed, name in enumerate(("a.png", "deep/b.png")):
            file.writestr(name, photograph(tmp_path / "made.png", seed))
        file.writestr("damaged.png", b"no image")
        file.writestr("notes.txt", b"text")
    (tmp_path / "made.png").unlink()
    return tmp_path / "photos.zip"


@pytest.fixture
def restore(weights_file: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that calls the command and returns its document."""

    def call(*arguments: str) -> dict[str, Any]:
        options = ["-m", str(weights_file), "--runtime", "torch", "--device", "cpu", "--json"]
        cli.app(["restore", *arguments, *options], standalone_mode=False)
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return call


def test_an_archive_is_restored_into_a_folder_and_files_are_named_by_their_urls(archive: Path, restore: Any) -> None:
    document = restore("zip://photos.zip", "-o", "out")
    assert [image["input"] for image in document["images"]] == ["zip://photos.zip/a.png", "zip://photos.zip/deep/b.png"]
    assert io.read_rgb("out/deep/b.png").shape[0] > 17
    (failed,) = document["failed"]
    assert failed["input"] == "zip://photos.zip/damaged.png"
    assert "lowvision-" not in failed["reason"]  # no temporary file
    assert document["ignored"] == {".txt": 1}


def test_results_on_another_file_system_equal_local_ones_and_are_skipped_the_next_time(
    archive: Path, restore: Any, memory: Any
) -> None:
    restore("zip://photos.zip", "-o", "out")
    document = restore("zip://photos.zip", "-o", "memory://out", "--map")
    assert memory.find("/out") == ["/out/a.map.png", "/out/a.png", "/out/deep/b.map.png", "/out/deep/b.png"]
    assert document["images"][1]["result"] == "memory://out/deep/b.png"
    assert document["images"][1]["map"] == "memory://out/deep/b.map.png"
    assert all(memory.cat(f"/out/{name}") == Path("out", name).read_bytes() for name in ("a.png", "deep/b.png"))
    again = restore("zip://photos.zip", "-o", "memory://out", "--skip-existing")
    assert again["skipped"] == ["zip://photos.zip/a.png", "zip://photos.zip/deep/b.png"]


def test_files_patterns_and_folders_are_selected_like_local_ones(archive: Path, memory: Any) -> None:
    for name in ("in/a.png", "in/b.jpg", "in/.hidden.png", "in/deep/c.png", "in/out/old.png"):
        memory.pipe(f"/{name}", b"x")
    planned = {
        pattern: [(image.names[0], str(image.result)) for image in inputs.plan([pattern], Path("out"))]
        for pattern in ("memory://in", "memory://in/*.png", "zip://deep/*.png::photos.zip", f"file://{archive.parent}")
        if not pattern.startswith("file") or (archive.parent / "x.png").write_bytes(b"x")
    }
    assert planned == {
        "memory://in": [
            ("memory://in/a.png", "out/a.png"),
            ("memory://in/b.jpg", "out/b.jpg"),
            ("memory://in/deep/c.png", "out/deep/c.png"),
            ("memory://in/out/old.png", "out/out/old.png"),
        ],
        "memory://in/*.png": [("memory://in/a.png", "out/a.png")],
        "zip://deep/*.png::photos.zip": [("zip://deep/b.png::photos.zip", "out/b.png")],
        f"file://{archive.parent}": [(f"file://{archive.parent}/x.png", "out/x.png")],
    }
    below = inputs.plan(["memory://in"], locations.find("memory://in/out"))
    assert [str(image.target) for image in below] == [
        f"memory://in/out/{name}" for name in ("a.png", "b.jpg", "deep/c.png")
    ]
    (single,) = inputs.plan(["memory://in/a.png"], locations.find("memory://results/z.webp"))
    assert single.names[:2] == ("memory://in/a.png", "memory://results/z.webp")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("zip://missing.zip", "zip://missing.zip: no such archive"),
        ("memory://nothing", "memory://nothing: no images found"),
        ("unknown://x", "unknown://x: cannot be opened: .*; check the URL"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_url(pattern: str, message: str, memory: Any) -> None:
    with pytest.raises(UsageError, match=message):
        inputs.plan([pattern], Path("out"))


def test_a_result_must_not_replace_its_input(memory: Any) -> None:
    memory.pipe("/in/a.png", b"x")
    with pytest.raises(UsageError, match="would replace an input"):
        inputs.plan(["memory://in/a.png"], locations.find("memory://in"))


def test_a_missing_library_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "find_spec", lambda library: None)
    with pytest.raises(UsageError, match=r"needs fsspec; pip install 'lowvision-framework\[fsspec\]'"):
        inputs.plan(["memory://in"], Path("out"))
