"""Claims about check_plugin: it loads a module as lowvision does, in a separate process."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributions import install

from lowvision.testing import check_plugin

RIGHT = """
from lowvision import Dataset, hookimpl

class Album(Dataset):
    def photos(self):
        return ()

@hookimpl
def lowvision_datasets():
    return {"album": Album}
"""


@pytest.fixture(autouse=True)
def module_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which modules can be imported, also by child processes."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_the_components_of_a_valid_plugin_are_returned(module_folder: Path) -> None:
    (module_folder / "acme_album.py").write_text(RIGHT)
    assert check_plugin("acme_album") == {"datasets": ["album"]}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import torch\n" + RIGHT, "imports .*torch at import time; import them inside methods"),
        (RIGHT.replace("datasets", "dataset"), "unknown hook 'lowvision_dataset'"),
        (RIGHT.replace("def photos", "def fotos"), "'album' does not define photos"),
        ("import no_such_package\n" + RIGHT, "ModuleNotFoundError: No module named 'no_such_package'"),
        ("import os; os._exit(3)", "importing it ends the process"),
        ("print('hello')\n" + RIGHT.replace("@hookimpl", ""), "has no hooks; mark a function"),
    ],
)
def test_an_invalid_plugin_is_reported_with_a_remedy(module_folder: Path, source: str, message: str) -> None:
    (module_folder / "acme_album.py").write_text(source)
    with pytest.raises(AssertionError, match=message):
        check_plugin("acme_album")


@pytest.mark.parametrize("group", ["lowvision.plugins", "lowvison", "LowVison"])
def test_an_entry_point_in_another_group_is_reported(module_folder: Path, group: str) -> None:
    (module_folder / "acme_album.py").write_text(RIGHT)
    install(module_folder, f"acme-{group}", "acme_album", group=group)
    with pytest.raises(AssertionError, match=rf"acme_album: its entry point is in group '{group}', which is"):
        check_plugin("acme_album")
    install(module_folder, "acme-album", "acme_album")
    assert check_plugin("acme_album") == {"datasets": ["album"]}


def test_groups_of_other_programs_are_not_reported(module_folder: Path) -> None:
    (module_folder / "acme_album.py").write_text(RIGHT)
    for group in ("torchvision", "vision", "lowviz"):
        install(module_folder, f"acme-{group}", "acme_album", group=group)
    assert check_plugin("acme_album") == {"datasets": ["album"]}


def test_an_entry_point_that_names_a_similar_module_is_reported(module_folder: Path) -> None:
    (module_folder / "acme_album.py").write_text(RIGHT)
    install(module_folder, "acme-albumm", "acme_albumm")
    with pytest.raises(AssertionError, match="its entry point names 'acme_albumm', which does not exist"):
        check_plugin("acme_album")
    install(module_folder, "acme-album", "acme_album")
    assert check_plugin("acme_album") == {"datasets": ["album"]}


def test_a_component_name_of_another_installed_plugin_is_reported(module_folder: Path) -> None:
    for module in ("acme_album", "other_album"):
        (module_folder / f"{module}.py").write_text(RIGHT)
    install(module_folder, "other-album", "other_album")
    both = "dataset 'album' is claimed by other-album .from other-album. and acme-album .from acme_album."
    with pytest.raises(AssertionError, match=f"acme_album: {both}; neither can be used: choose another name"):
        check_plugin("acme_album")
