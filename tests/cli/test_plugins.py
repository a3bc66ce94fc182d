"""Claims about `lowvision plugins`, and about commands if some plugins are broken."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import distributions
import pytest

from cli.command_result import RunCommand

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
"""Broken plugins: module -> source and reported reason."""
TWINS = {name: GOOD.replace("album", "shelf") for name in ("acme_one", "acme_two")}
"""Plugins that register the same name."""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a working plugin, the broken ones, and two that register the same name."""
    monkeypatch.delenv("LOWVISION_STRICT", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    modules = {"acme_good": GOOD, **{name: source for name, (source, _) in BROKEN.items()}, **TWINS}
    for module, source in modules.items():
        (tmp_path / f"{module}.py").write_text(source)
        distributions.install(tmp_path, module, module)
    importlib.invalidate_caches()
    yield
    for module in modules:
        sys.modules.pop(module, None)


def test_each_broken_plugin_is_named_and_the_others_load(run_command: RunCommand) -> None:
    result = run_command("plugins", "--json")
    assert result.code == 0
    plugins = {plugin["module"]: plugin for plugin in json.loads(result.out)}
    for module, (_, reason) in BROKEN.items():
        assert reason in plugins[module]["broken"]
        assert not plugins[module]["provides"]
    ours = [plugin for module, plugin in plugins.items() if module.startswith("lowvision")]
    assert "carn" in plugins["lowvision_sr"]["provides"]["backbones"]
    assert all(plugin["broken"] is None and plugin["provides"] for plugin in ours)
    assert plugins["acme_good"]["provides"] == {"datasets": ["album"]}


def test_the_text_listing_shows_the_reason_below_the_name(run_command: RunCommand) -> None:
    lines = run_command("plugins").out.splitlines()
    for module, (_, reason) in BROKEN.items():
        after = lines[lines.index(f"{module.replace('_', '-')} 1.0 (from {module})") + 1]
        assert after.startswith("  BROKEN: ")
        assert reason in after
    owners = "acme-one (from acme_one) and acme-two (from acme_two)"
    assert f"CLASH: dataset 'shelf' is claimed by {owners}; neither can be used" in lines


@pytest.mark.parametrize("arguments", [("ls", "datasets"), ("doctor",)])
def test_other_commands_report_broken_plugins(run_command: RunCommand, arguments: tuple[str, ...]) -> None:
    result = run_command(*arguments)
    for module, (_, reason) in BROKEN.items():
        assert any(
            module.replace("_", "-") in line and reason in line for line in (result.out + result.err).splitlines()
        )
    assert re.search("'shelf' .*is claimed by acme-one .*and acme-two", result.out + result.err)


def test_a_recipe_without_broken_plugins_is_valid(run_command: RunCommand, recipe: Path) -> None:
    result = run_command("check", str(recipe), "data.train=album")
    assert (result.code, result.out) == (0, f"{recipe}: nothing wrong\n")


def test_a_recipe_that_needs_a_broken_plugin_reports_the_reason(run_command: RunCommand, recipe: Path) -> None:
    result = run_command("check", str(recipe), "data.train=shelf")
    assert result.code == 2
    assert "dataset 'shelf' is claimed by acme-one (from acme_one) and acme-two (from acme_two)" in result.err
    result = run_command("check", str(recipe), "data.train=atlas")
    assert all(f"plugin {module.replace('_', '-')} failed to load" in result.err for module in BROKEN)


def test_strict_mode_reports_all_broken_plugins_in_one_error(
    run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWVISION_STRICT", "1")
    result = run_command("plugins")
    assert result.code != 0
    assert result.out == ""
    assert len(result.err.splitlines()) == len(BROKEN) + 1
