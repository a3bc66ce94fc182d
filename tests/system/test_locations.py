"""Claims about files on other file systems: their URLs, and that readers never see a part of one."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowvision.errors import UsageError
from lowvision.system import locations

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory() -> Iterator[Any]:
    """Yield the file system in memory with three files, and empty it afterwards."""
    system = fsspec.filesystem("memory")
    for name in ("a.png", "in/b.PNG", "in/deep/c.png"):
        system.pipe(f"/photos/{name}", name.encode())
    yield system
    system.rm("/", recursive=True)


def found(url: str) -> dict[str, str]:
    """Return the files that a URL selects: their paths below it, and their URLs."""
    return {str(relative): each.url for each, relative in locations.files_of(locations.find(url))}


@pytest.mark.parametrize("text", ["memory://a", "s3://bucket/key", "zip://a.png::b.zip", "github+ssh://a"])
def test_a_url_is_remote(text: str) -> None:
    assert locations.is_remote(text)


@given(st.text(max_size=20))
def test_a_text_without_a_scheme_is_a_local_path(text: str) -> None:
    assert not locations.is_remote(text.replace("://", ":/"))
    assert not locations.is_remote(f"./{text}")


def test_a_folder_is_searched_recursively_and_each_url_finds_its_file(memory: Any) -> None:
    urls = found("memory://photos")
    assert list(urls) == ["a.png", "in/b.PNG", "in/deep/c.png"]
    for relative, url in urls.items():
        location = locations.find(url)
        assert memory.cat(location.path) == relative.encode()


def test_patterns_select_files_relative_to_their_part_without_wildcards(memory: Any) -> None:
    assert list(found("memory://photos/*/*.PNG")) == ["in/b.PNG"]
    assert list(found("memory://photos/in/**/*.png")) == ["deep/c.png"]
    assert list(found("memory://photos/*")) == ["a.png"]  # folders are no files
    assert found("memory://photos/none*") == {}


def test_a_file_selects_itself(memory: Any) -> None:
    assert found("memory://photos/a.png") == {"a.png": "memory://photos/a.png"}


def test_paths_are_joined_and_siblings_stand_next_to_a_file(memory: Any) -> None:
    location = locations.find("memory://photos/") / PurePosixPath("in/b.PNG")
    assert (location.url, location.suffix, location.is_complete()) == ("memory://photos/in/b.PNG", ".png", True)
    assert location.sibling("c.png").url == "memory://photos/in/c.png"
    assert not location.sibling("c.png").is_file()


def test_an_empty_file_is_there_but_not_complete(memory: Any) -> None:
    memory.pipe("/photos/empty.png", b"")
    location = locations.find("memory://photos/empty.png")
    assert location.is_file()
    assert not location.is_complete()


def test_a_stored_file_appears_whole_with_its_folders(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"content")
    target = locations.find("memory://new/folder/x.png")
    target.store(tmp_path / "x.png")
    assert memory.find("/new") == ["/new/folder/x.png"]  # no part is left
    target.fetch(tmp_path / "back.png")
    assert (tmp_path / "back.png").read_bytes() == b"content"


def test_a_failed_copy_leaves_the_earlier_file(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: str, path: str) -> None:
        memory.pipe(path, b"hal")
        raise OSError("connection lost")

    (tmp_path / "x.png").write_bytes(b"content")
    target = locations.find("memory://photos/a.png")
    monkeypatch.setattr(target.filesystem, "put_file", broken)
    with pytest.raises(OSError, match="connection lost"):
        target.store(tmp_path / "x.png")
    assert memory.cat("/photos/a.png") == b"a.png"


def test_a_local_archive_is_a_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("in/a.png", b"a")
    urls = found(f"zip://{tmp_path}/photos.zip")
    assert list(urls) == ["in/a.png"]
    inside = locations.find(f"zip://in/a.png::{tmp_path}/photos.zip")
    assert inside.filesystem.cat(inside.path) == b"a"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("zip://none.zip", "zip://none.zip: no such archive; give zip:// and the path of a local file"),
        ("nosuchscheme://a", "nosuchscheme://a: cannot be opened: .*; check the URL"),
    ],
)
def test_what_cannot_be_opened_is_an_error_that_begins_with_the_url(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        locations.find(url)


def test_without_fsspec_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"^memory://a: needs fsspec; pip install 'lowvision-framework\[fsspec\]'"):
        locations.find("memory://a")
