"""The cache computes an array once, never returns an incomplete one, and stays within its limit."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tiny

from lowvision.errors import RunError
from lowvision.system import cache


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "cache"))


def array(fill: int = 1, kilobytes: int = 1) -> np.ndarray:
    return np.full(kilobytes * 1024, fill, dtype=np.uint8)


def test_an_array_is_made_once_and_read_from_disk():
    made = []

    def make() -> np.ndarray:
        made.append(1)
        return array(7)

    paths = [cache.keep(cache.key("a"), make) for _ in range(3)]
    assert len(made) == 1
    opened = cache.open_array(paths[0])
    assert isinstance(opened, np.memmap)
    assert (opened == 7).all()


def test_other_facts_are_another_key():
    assert cache.key("a", 1) != cache.key("a", 2)
    assert cache.key({"x": 1, "y": 2}) == cache.key({"y": 2, "x": 1})


def test_what_fails_while_it_is_written_leaves_nothing(monkeypatch, tmp_path):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(RunError, match=r"No space left.*LOWVISION_CACHE"):
        cache.keep(cache.key("a"), array)
    assert cache.size() == 0
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_another_users_file_is_used_as_it_is(monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    path = cache.keep(cache.key("a"), array)
    monkeypatch.setattr(os, "utime", refused)
    assert cache.keep(cache.key("a"), lambda: pytest.fail("it is there")) == path


def open_more_arrays_than_files_may_be_open(most: int) -> None:
    import resource

    held = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 5, held + most))
    cache.open_array.cache_clear()
    paths = [cache.keep(cache.key("open", n), array) for n in range(20)]
    opened = [cache.open_array(path) for path in paths]
    assert all((each == 1).all() for each in opened)


def fail_to_open_so_many(most: int) -> None:
    with pytest.raises(RunError, match="ulimit -n"):
        open_more_arrays_than_files_may_be_open(most)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux alone tells how many files are open")
def test_more_files_may_be_open_than_at_first_and_too_many_are_told():
    assert tiny.in_a_child(open_more_arrays_than_files_may_be_open, 60) == 0
    assert tiny.in_a_child(fail_to_open_so_many, 15) == 0


def test_what_was_used_longest_ago_goes_first_and_what_is_in_use_stays(monkeypatch):
    paths = [cache.keep(cache.key(n), lambda n=n: array(n, 64)) for n in range(4)]
    for age, path in enumerate(paths):
        os.utime(path, (1000 + age, 1000 + age))
    monkeypatch.setenv("LOWVISION_CACHE_LIMIT", str(140 * 1024 / 2**30))
    cache.trim(frozenset({paths[0]}))
    assert [path.exists() for path in paths] == [True, False, False, True]


def test_clear_empties_it_and_leaves_strangers_alone(tmp_path):
    cache.keep(cache.key("a"), array)
    stranger = tmp_path / "cache" / "holiday" / "photo.npy"
    stranger.parent.mkdir()
    stranger.write_bytes(b"mine")
    assert cache.clear() > 1000
    assert cache.size() == 0
    assert stranger.exists()


def test_a_limit_that_is_no_number_is_told(monkeypatch):
    monkeypatch.setenv("LOWVISION_CACHE_LIMIT", "many")
    with pytest.raises(RunError, match="GiB"):
        cache.limit()


def test_the_default_is_the_users_cache_folder_unless_the_former_one_exists(tmp_path, monkeypatch):
    monkeypatch.delenv("LOWVISION_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.platform", "linux")
    assert cache.root() == tmp_path / "xdg" / "lowvision"
    former = tmp_path / ".cache" / "lowvision"
    former.mkdir(parents=True)
    assert cache.root() == former
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "mine"))
    assert cache.root() == tmp_path / "mine"


def test_without_a_home_that_can_be_written_the_cache_is_temporary_and_this_is_said_once(tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("LOWVISION_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "file").touch()
    cache._temporary_root.cache_clear()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("HOME", str(home))
        assert cache.root().is_dir()
        assert cache.keep("ab" * 32, lambda: np.zeros(3)).is_relative_to(cache.root())
    assert len([message for message in caplog.messages if "no cache folder can be written" in message]) == 1
    cache._temporary_root.cache_clear()


def test_a_cache_that_is_a_file_is_an_error_with_a_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "file"))
    with pytest.raises(RunError, match="set LOWVISION_CACHE to another folder"):
        cache.keep("ab" * 32, lambda: np.zeros(3))


def test_a_cache_named_with_a_tilde_is_a_folder_of_that_name(monkeypatch):
    monkeypatch.setenv("LOWVISION_CACHE", "~no such user")
    assert cache.root().name == "~no such user"


@pytest.mark.parametrize("damage", [b"", b"half", None], ids=["emptied", "cut", "one byte changed"])
def test_a_damaged_file_is_made_again_and_said(damage, caplog):
    path = cache.keep(cache.key("a"), lambda: array(7))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x" if damage is None else damage)
    cache._checked.clear()  # as in another process
    cache._fingerprint.cache_clear()
    with caplog.at_level("WARNING", "lowvision"):
        assert cache.keep(cache.key("a"), lambda: array(7)) == path
    assert path.read_bytes() == content
    assert caplog.text.count("the cached file is damaged") == 1
    caplog.clear()
    assert cache.keep(cache.key("a"), lambda: pytest.fail("it is whole")) == path
    assert not caplog.text


def test_a_file_of_an_older_version_without_a_record_is_used():
    path = cache.keep(cache.key("a"), array)
    cache._record(path).unlink()
    cache._checked.clear()
    assert cache.keep(cache.key("a"), lambda: pytest.fail("it is there")) == path


def test_a_file_that_is_trimmed_leaves_no_record(monkeypatch):
    path = cache.keep(cache.key("a"), array)
    monkeypatch.setenv("LOWVISION_CACHE_LIMIT", "0")
    cache.trim(frozenset())
    assert not list(path.parent.iterdir())
