"""Claims about the plugins that entry points name: one per module, selected by name, and slips of their authors."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributions import install

from lowvision.errors import PluginError
from lowvision.plugins import entry_points
from lowvision.plugins.entry_points import Plugin

CORE = Plugin("lowvision.core", "lowvision-framework", "")
SR = Plugin("lowvision_sr", "lowvision-framework", "1.0", "sr")
ALBUM = Plugin("acme_album", "acme", "1.0", "album")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_module_named_by_two_distributions_is_one_plugin(folder: Path) -> None:
    for distribution in ("acme-bundle", "acme-album"):
        install(folder, distribution, "acme_album")
    assert [plugin.module for plugin in entry_points.installed()].count("acme_album") == 1
    assert {plugin.distribution for plugin in entry_points.by_module()["acme_album"]} == {"acme-bundle", "acme-album"}


def test_the_core_is_installed_and_its_modules_have_the_names_of_listings() -> None:
    installed = entry_points.installed()
    assert [plugin.name for plugin in installed[: len(entry_points.CORE)]] == list(entry_points.CORE.values())
    assert "lowvision-sr" in {plugin.name for plugin in installed}


@pytest.mark.parametrize("names", ["album", "acme-album", "acme_album", " album , "])
def test_a_plugin_is_selected_by_its_entry_point_or_its_name_beside_the_core(names: str) -> None:
    assert entry_points.chosen([CORE, SR, ALBUM], names) == (CORE, ALBUM)
    assert entry_points.chosen([CORE, SR, ALBUM], " , ") == (CORE, SR, ALBUM)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PluginError, match="LOWVISION_PLUGINS: no plugin 'albun'; there are sr, album"):
        entry_points.chosen([CORE, SR, ALBUM], "sr,albun")


def test_groups_that_resemble_the_right_one_are_found_until_it_names_the_module(folder: Path) -> None:
    for group in ("lowvision.plugins", "lowvison", "torchvision"):
        install(folder, f"acme-{group}", "acme_album", group=group)
    groups = [point.group for point in entry_points.misplaced() if point.module == "acme_album"]
    assert groups == ["lowvision.plugins", "lowvison"]
    install(folder, "acme", "acme_album")
    assert not [point for point in entry_points.misplaced() if point.module == "acme_album"]


def test_a_missing_module_of_a_similar_name_is_found(folder: Path) -> None:
    install(folder, "acme", "acme_albumm")
    assert entry_points.misnamed("acme_album") == "acme_albumm"
    (folder / "acme_albumm.py").write_text("")
    assert entry_points.misnamed("acme_album") is None
