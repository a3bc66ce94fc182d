"""Claims about `lowvision plugins`, and about commands if some plugins are broken."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from cli.saying import Say

GOOD = dedent('''
    from lowvision import Dataset, hookimpl

    class Album(Dataset):
        """Photographs of ours."""

        count: int = 3

        def photos(self):
            return ()

    @hookimpl
    def lowvision_datasets():
        return {"album": Album}
''')
BROKEN = {
    "acme_import": ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
    "acme_hook": (GOOD.replace("lowvision_datasets", "lowvision_dataset"), "unknown hook 'lowvision_dataset'"),
    "acme_type": (GOOD.replace("count: int = 3", 'count: int = "3"'), "'count' that does not allow its own default"),
}
"""Plugins that are broken, and what is said of each."""
TWINS = {name: GOOD.replace("album", "shelf") for name in ("acme_one", "acme_two")}
"""Plugins that claim one name."""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A plugin that works, those that are broken, and two that claim one name, as pip would install them."""
    monkeypatch.delenv("LOWVISION_STRICT", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    modules = {"acme_good": GOOD, **{name: source for name, (source, _) in BROKEN.items()}, **TWINS}
    for module, source in modules.items():
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[lowvision]\n{module} = {module}\n")
    importlib.invalidate_caches()
    yield
    for module in modules:
        sys.modules.pop(module, None)


def test_each_broken_plugin_is_named_and_the_others_load(say: Say) -> None:
    said = say("plugins", "--json")
    assert said.code == 0
    told = {plugin["module"]: plugin for plugin in json.loads(said.out)}
    for module, (_, reason) in BROKEN.items():
        assert reason in told[module]["broken"]
        assert not told[module]["provides"]
    ours = [plugin for module, plugin in told.items() if module.startswith("lowvision")]
    assert "carn" in told["lowvision_sr"]["provides"]["backbones"]
    assert all(plugin["broken"] is None and plugin["provides"] for plugin in ours)
    assert told["acme_good"]["provides"] == {"datasets": ["album"]}


def test_the_text_listing_shows_the_reason_below_the_name(say: Say) -> None:
    lines = say("plugins").out.splitlines()
    for module, (_, reason) in BROKEN.items():
        after = lines[lines.index(f"{module.replace('_', '-')} 1.0 (from {module})") + 1]
        assert after.startswith("  BROKEN: ")
        assert reason in after
    owners = "acme-one (from acme_one) and acme-two (from acme_two)"
    assert f"CLASH: dataset 'shelf' is claimed by {owners}; neither can be used" in lines


@pytest.mark.parametrize("words", [("ls", "datasets"), ("doctor",)])
def test_other_commands_report_broken_plugins(say: Say, words: tuple[str, ...]) -> None:
    said = say(*words)
    for module, (_, reason) in BROKEN.items():
        assert any(module.replace("_", "-") in line and reason in line for line in (said.out + said.err).splitlines())
    assert re.search("'shelf' .*is claimed by acme-one .*and acme-two", said.out + said.err)


def test_a_recipe_without_broken_plugins_is_valid(say: Say, recipe: Path) -> None:
    said = say("check", str(recipe), "data.train=album")
    assert (said.code, said.out) == (0, f"{recipe}: nothing wrong\n")


def test_a_recipe_that_needs_a_broken_plugin_reports_the_reason(say: Say, recipe: Path) -> None:
    said = say("check", str(recipe), "data.train=shelf")
    assert said.code == 2
    assert "dataset 'shelf' is claimed by acme-one (from acme_one) and acme-two (from acme_two)" in said.err
    said = say("check", str(recipe), "data.train=atlas")
    assert all(f"plugin {module.replace('_', '-')} failed to load" in said.err for module in BROKEN)


def test_strict_mode_reports_all_broken_plugins_in_one_error(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_STRICT", "1")
    said = say("plugins")
    assert said.code != 0
    assert said.out == ""
    assert len(said.err.splitlines()) == len(BROKEN) + 1
