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


def test_an_array_is_computed_once_and_read_from_disk():
    calls = []

    def make() -> np.ndarray:
        calls.append(1)
        return array(7)

    paths = [cache.keep(cache.key("a"), make) for _ in range(3)]
    assert len(calls) == 1
    opened = cache.open_array(paths[0])
    assert isinstance(opened, np.memmap)
    assert (opened == 7).all()


def test_different_inputs_give_different_keys():
    assert cache.key("a", 1) != cache.key("a", 2)
    assert cache.key({"x": 1, "y": 2}) == cache.key({"y": 2, "x": 1})


def test_a_failed_write_leaves_no_file(monkeypatch, tmp_path):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(RunError, match=r"No space left.*LOWVISION_CACHE"):
        cache.keep(cache.key("a"), array)
    assert cache.size() == 0
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_a_file_of_another_user_is_read(monkeypatch):
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
def test_the_open_file_limit_is_raised_and_exceeding_it_is_reported():
    assert tiny.in_a_child(open_more_arrays_than_files_may_be_open, 60) == 0
    assert tiny.in_a_child(fail_to_open_so_many, 15) == 0


def test_the_least_recently_used_files_are_evicted_except_those_in_use(monkeypatch):
    paths = [cache.keep(cache.key(n), lambda n=n: array(n, 64)) for n in range(4)]
    for age, path in enumerate(paths):
        os.utime(path, (1000 + age, 1000 + age))
    monkeypatch.setenv("LOWVISION_CACHE_LIMIT", str(140 * 1024 / 2**30))
    cache.trim(frozenset({paths[0]}))
    assert [path.exists() for path in paths] == [True, False, False, True]


def test_clear_removes_only_cache_files(tmp_path):
    cache.keep(cache.key("a"), array)
    other_file = tmp_path / "cache" / "holiday" / "photo.npy"
    other_file.parent.mkdir()
    other_file.write_bytes(b"mine")
    assert cache.clear() > 1000
    assert cache.size() == 0
    assert other_file.exists()


@pytest.mark.parametrize("limit", ["many", "inf", "nan"])
def test_a_limit_that_is_not_a_finite_number_is_reported(limit, monkeypatch):
    monkeypatch.setenv("LOWVISION_CACHE_LIMIT", limit)
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


def test_without_a_writable_home_the_cache_is_temporary_and_a_warning_is_logged_once(tmp_path, monkeypatch, caplog):
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


def test_a_cache_path_that_is_a_file_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LOWVISION_CACHE", str(tmp_path / "file"))
    with pytest.raises(RunError, match="set LOWVISION_CACHE to another folder"):
        cache.keep("ab" * 32, lambda: np.zeros(3))


def test_an_unknown_user_in_the_cache_path_is_a_folder_name(monkeypatch):
    monkeypatch.setenv("LOWVISION_CACHE", "~no such user")
    assert cache.root().name == "~no such user"


@pytest.mark.parametrize("damage", [b"", b"half", None], ids=["empty", "truncated", "one byte changed"])
def test_a_damaged_file_is_recomputed_with_a_warning(damage, caplog):
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


def test_evicting_a_file_removes_its_record(monkeypatch):
    path = cache.keep(cache.key("a"), array)
    monkeypatch.setenv("LOWVISION_CACHE_LIMIT", "0")
    cache.trim(frozenset())
    assert not list(path.parent.iterdir())
