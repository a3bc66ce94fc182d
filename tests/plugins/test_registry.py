"""Claims about how plugins are loaded, isolated and named; the plugins here are real modules in a temporary folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from distributions import install

from lowvision import PluginError, RecipeError
from lowvision.plugins import entry_points, hookspecs, registry
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.registry import Registry

GOOD = """
    from lowvision import Dataset, hookimpl

    class Album(Dataset):
        def photos(self):
            return ()

    @hookimpl
    def lowvision_datasets():
        return {"album": Album}
"""
NET = """
    from lowvision import Backbone, hookimpl

    class Net(Backbone):
        scales = 2

        def build(self, task):
            return None

        def reach(self, task):
            return 0

    @hookimpl
    def lowvision_backbones():
        return {"net": Net}
"""
BROKEN = {
    "No module named 'no_such_package_anywhere' (acme_bad.py, line 1)": "import no_such_package_anywhere",
    "SystemExit": "raise SystemExit('not on this machine')",
    "one two": "raise ValueError('one\\n  two')",
    "the hooks are lowvision_tasks, lowvision_backbones": GOOD.replace("lowvision_datasets", "lowvision_dataset"),
    "mark a function such as lowvision_tasks with @hookimpl": GOOD.replace("@hookimpl", ""),
    "must return a mapping name -> class, not list": GOOD.replace('{"album": Album}', "[Album]"),
    "must return a mapping name -> class, not NoneType": GOOD.replace("return {", "{"),
    "'album' must be a subclass of Dataset, not <class 'int'>": GOOD.replace(": Album}", ": int}"),
    "; return the class, without ()": GOOD.replace(": Album}", ": Album()}"),
    "name 'My-Album' must be lower-case": GOOD.replace('"album"', '"My-Album"'),
    "'album' does not define photos": GOOD.replace("def photos", "def fotos"),
    "'album' has an option 'count' that does not allow its own default 'many'": GOOD.replace(
        "def photos", 'count: int = "many"\n\n        def photos'
    ),
    "the option `count = 3` has no type; write `count: int = 3`, or ClassVar for a constant (acme_bad.py, line ": (
        GOOD.replace("def photos", "count = 3\n\n        def photos")
    ),
    "'album' has an `__init__` that cannot set options; they need none: declare `channels: int = 8`": GOOD.replace(
        "def photos",
        "count: int = 3\n\n        def __init__(self, count=3):\n            self.count = count\n\n        def photos",
    ),
    "'album' has an `__init__` that cannot set": GOOD.replace(
        "def photos", "def __init__(self, count):\n            self.count = count\n\n        def photos"
    ),
    "'album' has an option whose type is unknown": "from __future__ import annotations\n"
    + dedent(GOOD).replace("    def photos", "    size: Sise = 3\n\n    def photos"),
    "Unable to generate pydantic-core schema": GOOD.replace("def photos", "size: object() = 3\n\n        def photos"),
    "'net' has an option 'multiple_of', a class attribute of every Backbone": NET.replace("scales", "multiple_of: int"),
    "Net.scales is 2; write scales = (2,) (acme_bad.py, line 4)": NET,
    "declared in the hookimpl": GOOD.replace("lowvision_datasets()", "lowvision_datasets(config)"),
    "ZeroDivisionError": GOOD.replace("return {", "return {1 / 0: 0, "),
}
"""Text of the reason -> source of a broken module."""
Write = Callable[..., Plugin]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return a function that writes an importable module, and returns it as a plugin of a distribution."""
    monkeypatch.syspath_prepend(tmp_path)
    written: list[str] = []

    def write_module(module: str, source: str, distribution: str = "acme") -> Plugin:
        (tmp_path / f"{module}.py").write_text(dedent(source))
        importlib.invalidate_caches()
        written.append(module)
        return Plugin(module, distribution, "1.0")

    yield write_module
    for module in written:
        sys.modules.pop(module, None)


def test_an_entry_names_the_component_and_its_plugin(write: Write) -> None:
    known = Registry([write("acme_album", GOOD)])
    entry = known.find("datasets", "album")
    assert (entry.name, entry.plugin, entry.distribution, entry.version) == ("album", "acme-album", "acme", "1.0")
    assert known.name_of(entry.component()) == "album"
    assert known.entry_of(entry.component()) is entry


def test_every_kind_has_a_registry_section_and_a_hook() -> None:
    known = Registry([])
    assert known.keys() == hookspecs.KINDS.keys()
    assert all(hasattr(hookspecs, f"lowvision_{kind}") for kind in hookspecs.KINDS)


def test_registry_sections_are_read_only(write: Write) -> None:
    provided = Registry([write("acme_album", GOOD)])["datasets"]
    with pytest.raises(TypeError):
        provided["album"] = None  # type: ignore[index]  # the claim is that this raises


@pytest.mark.filterwarnings("ignore:Field name:UserWarning")  # pydantic's warning about the same fault
@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_plugin_is_reported_and_the_others_load(write: Write, reason: str) -> None:
    known = Registry([write("acme_bad", BROKEN[reason]), write("acme_album", GOOD, "other")])
    assert [entry.plugin for entry in known["datasets"].values()] == ["acme-album"]
    (broken,) = known.broken
    assert (broken.plugin, broken.distribution) == ("acme-bad", "acme")
    assert reason in broken.reason
    assert "\n" not in broken.reason


def test_every_core_component_option_accepts_its_default() -> None:
    own = [
        (kind, entry)
        for kind, entries in registry.load().items()
        for entry in entries.values()
        if entry.distribution == entry_points.FRAMEWORK
    ]
    assert len(own) > 100
    problems = {
        entry.name: problem
        for kind, entry in own
        if (problem := registry.option_problem(entry.component, hookspecs.KINDS[kind]))
    }
    assert not problems


def test_an_unknown_name_suggests_the_nearest_name_and_its_plugin(write: Write) -> None:
    known = Registry([write("acme_album", GOOD)])
    with pytest.raises(RecipeError, match=r"no dataset named 'albums'; did you mean 'album'\? \(from acme-album\)"):
        known.find("datasets", "albums")


def test_a_dissimilar_name_lists_all_names_and_the_failed_plugins(write: Write) -> None:
    known = Registry([write("acme_album", GOOD), write("acme_bad", "import no_such_package_anywhere")])
    with pytest.raises(RecipeError, match=r"there are album; plugin acme-bad failed to load: ModuleNotFoundError"):
        known.find("datasets", "xyz")
    with pytest.raises(RecipeError, match="no task named 'sr'; there are none"):
        known.find("tasks", "sr")


def test_a_name_of_two_plugins_is_an_error_that_names_both(write: Write) -> None:
    plugins = [write("acme_album", GOOD), write("zoo_album", GOOD, "zoo")]
    for order in (plugins, plugins[::-1]):
        known = Registry(order)
        assert not known["datasets"]
        with pytest.raises(PluginError, match=r"dataset 'album' is claimed by") as caught:
            known.find("datasets", "album")
        assert "acme-album (from acme)" in str(caught.value)
        assert "zoo-album (from zoo)" in str(caught.value)


def test_a_component_of_no_plugin_has_no_name() -> None:
    with pytest.raises(PluginError, match="int is not provided by any installed plugin"):
        Registry([]).name_of(3)


def test_a_failing_installed_plugin_does_not_affect_the_others(tmp_path: Path, write: Write) -> None:
    write("acme_bad", "import no_such_package_anywhere")
    install(tmp_path, "acme-bad", "acme_bad")
    known = registry.load()
    assert "acme-bad" in {broken.plugin for broken in known.broken}
    assert "folder" in known["datasets"]


@pytest.fixture
def two_plugins(tmp_path: Path, write: Write) -> None:
    """Install two plugins: one that works, and one that is broken."""
    write("acme_album", GOOD)
    write("acme_bad", "import no_such_package_anywhere")
    install(tmp_path, "acme-album", "acme_album", "album")
    install(tmp_path, "acme-bad", "acme_bad", "bad")


@pytest.mark.parametrize("names", ["album", "acme-album", "acme_album", " album , ", "album,acme_album"])
@pytest.mark.usefixtures("two_plugins")
def test_only_plugins_named_in_the_environment_variable_are_loaded(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_PLUGINS", names)
    known = registry.load()
    assert [plugin.name for plugin in known.plugins] == [*entry_points.CORE.values(), "acme-album"]
    assert known["datasets"].keys() == {"album", "folder", "mix"}
    assert not known.broken
    assert "acme-bad" in {plugin.name for plugin in known.left_out}
    assert "acme_bad" not in sys.modules
    with pytest.raises(RecipeError, match="no task named 'sr'; there are none; LOWVISION_PLUGINS leaves out acme-bad,"):
        known.find("tasks", "sr")


@pytest.mark.parametrize("names", ["", " ", ","])
@pytest.mark.usefixtures("two_plugins")
def test_an_empty_environment_variable_loads_all_plugins(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_PLUGINS", names)
    assert {plugin.module for plugin in registry.load().plugins} >= {"acme_album", "acme_bad", "lowvision_sr"}


@pytest.mark.usefixtures("two_plugins")
def test_an_unknown_plugin_in_the_environment_variable_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_PLUGINS", "album,albun")
    with pytest.raises(PluginError, match=r"LOWVISION_PLUGINS: no plugin 'albun'; there are album, bad, "):
        registry.load()


@pytest.mark.usefixtures("two_plugins")
def test_strict_mode_raises_for_a_broken_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_STRICT", "1")
    with pytest.raises(PluginError, match=r"plugin acme-bad \(from acme-bad\) failed to load: ModuleNotFoundError"):
        registry.load()
    monkeypatch.setenv("LOWVISION_STRICT", "0")
    assert registry.load().broken


def test_strict_mode_raises_for_a_name_of_two_plugins(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("acme_album", "zoo_album"):
        write(module, GOOD)
        install(tmp_path, module.replace("_", "-"), module)
    monkeypatch.setenv("LOWVISION_STRICT", "1")
    with pytest.raises(PluginError, match=r"dataset 'album' is claimed by acme-album .* and zoo-album .*; neither"):
        registry.load()


def test_the_strict_variable_must_be_1_or_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOWVISION_STRICT", "yes")
    with pytest.raises(PluginError, match="LOWVISION_STRICT is 'yes'; give 1"):
        registry.load()


def test_an_entry_point_to_a_missing_module_is_reported() -> None:
    (broken,) = Registry([Plugin("acme_typo", "acme", "1.0", "album")]).broken
    assert broken.reason.startswith("its entry point album names the module acme_typo, which is not there")


def test_an_entry_point_must_name_a_module_without_attribute() -> None:
    (broken,) = Registry([Plugin("lowvision_sr", "acme", "1.0", "album", "hooks")]).broken
    assert broken.reason.endswith(
        "its entry point album names lowvision_sr:hooks; name only the module that has the hooks"
    )
