"""Claims about the listings of components and plugins."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from lowvision.commands import listing
from lowvision.plugins.contracts import Dataset
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.registry import Registry


class Hill(Dataset):
    """Photographs of a hill.

    From all sides.
    """

    def photos(self):  # type: ignore[no-untyped-def]  # never called
        return ()


@hookimpl
def lowvision_datasets():  # type: ignore[no-untyped-def]  # typed by the hook specification
    return {"hill": Hill}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    twin = ModuleType("twin")
    twin.lowvision_datasets = lowvision_datasets  # type: ignore[attr-defined]  # a module object without a file
    monkeypatch.setitem(sys.modules, "twin", twin)
    return Registry(
        [
            Plugin("lowvision.plugins.core_components", "lowvision-framework", ""),
            Plugin("no_such_module", "acme", "2.0"),
        ]
    )


def test_a_broken_plugin_is_listed_with_its_reason(registry: Registry) -> None:
    assert list(listing.plugin_lines(registry)) == [
        "lowvision (from lowvision-framework)",
        "  datasets: folder, mix",
        "  losses: l1",
        "  metrics: psnr, ssim",
        "no-such-module 2.0 (from acme)",
        "  BROKEN: ModuleNotFoundError: No module named 'no_such_module'",
    ]


def test_a_component_is_listed_with_name_summary_and_plugin() -> None:
    known = Registry([Plugin(__name__, "hills", "1.0")])
    assert list(listing.lines(known, "datasets")) == [
        "datasets:",
        f"  hill  Photographs of a hill. ({known.plugins[0].name})",
    ]
    assert list(listing.lines(known, "tasks")) == ["tasks:", "  none"]


def test_a_name_of_two_plugins_is_listed_with_both(registry: Registry) -> None:
    known = Registry([Plugin(__name__, "hills", "1.0"), Plugin("twin", "twins", "1.0")])
    last = list(listing.plugin_lines(known))[-1]
    owners = f"{known.plugins[0].name} (from hills) and twin (from twins)"
    assert last == f"CLASH: dataset 'hill' is claimed by {owners}; neither can be used"


def test_an_unusable_runtime_is_listed_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowvision_runtimes.find_spec", lambda library: None)
    known = Registry([Plugin("lowvision_runtimes", "lowvision-framework", "")])
    lines = {line.split()[0]: line for line in listing.lines(known, "runtimes")}
    way_out = "pip install 'lowvision-framework[openvino]'"
    assert lines["openvino"].endswith(f"(lowvision-runtimes; openvino is not installed; {way_out})")
    assert lines["torch"].endswith("(lowvision-runtimes)")
    assert listing.document(known)["runtimes"][0]["missing"] is None


def test_an_excluded_plugin_is_listed_as_excluded() -> None:
    known = Registry([], left_out=[Plugin("acme_album", "acme", "2.0", "album")])
    assert list(listing.plugin_lines(known)) == ["acme-album 2.0 (from acme)", "  left out by LOWVISION_PLUGINS"]
    assert listing.plugins(known)[0]["left_out"]


def test_shipped_recipes_are_listed_separately() -> None:
    ((name, recipes),) = listing.document(Registry([]), "recipes").items()
    assert name == "recipes"
    assert all(recipe["about"].endswith(".") and "\n" not in recipe["about"] for recipe in recipes)
    assert list(listing.document(Registry([])))[-1] == "recipes"
