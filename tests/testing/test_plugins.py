"""Claims about check_plugin: it loads a module as lowvision does, in a separate process."""

from __future__ import annotations

from pathlib import Path

import pytest

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
