"""The hash of a component's source changes with its code, and with nothing else."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from lowvision.system import source_code
from lowvision_sr import FSRCNN


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a package `hashed_plugin` with the class Part in its module `inner`."""
    folder = tmp_path / "hashed_plugin"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "inner.py").write_text("class Part:\n    pass\n")
    (folder / "other.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("hashed_plugin")]:
        del sys.modules[name]


def part() -> type:
    return importlib.import_module("hashed_plugin.inner").Part


def test_an_edit_in_any_module_of_the_package_changes_the_hash(package: Path) -> None:
    before = source_code.of_component(part())
    assert list(before) == ["hashed_plugin"]
    assert source_code.of_component(part()) == before
    (package / "other.py").write_text("x = 22\n")
    assert source_code.of_component(part()) != before
    (package / "other.py").write_text("x = 1\n")
    assert source_code.of_component(part()) == before


def test_other_files_do_not_change_the_hash(package: Path) -> None:
    before = source_code.of_component(part())
    (package / "notes.txt").write_text("read me")
    assert source_code.of_component(part()) == before


def test_a_base_class_of_another_package_changes_the_hash(package: Path) -> None:
    class Derived(FSRCNN, part()):  # type: ignore[misc]  # the base is found at run time
        pass

    assert {"hashed_plugin", "lowvision_sr"} < source_code.of_component(Derived).keys()
    assert "lowvision" not in source_code.of_component(Derived)


def test_a_class_without_a_source_file_has_an_empty_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    loose = type("Loose", (), {"__module__": "nowhere_to_be_found"})
    assert source_code.of_component(loose) == source_code.of_modules("nowhere_to_be_found")


def test_the_hash_of_a_module_is_the_same_before_and_after_import() -> None:
    name = "lowvision.bench.peak"
    sys.modules.pop(name, None)
    before = source_code.of_modules(name)
    importlib.import_module(name)
    assert source_code.of_modules(name) == before != source_code.of_modules("lowvision.bench.rows")
