"""Claims about how `show` resolves a name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tiny
import toys

from lowvision.commands.show import descriptions, names, page, request
from lowvision.commands.show.request import ShowRequest
from lowvision.errors import PluginError, RecipeError, UsageError, WeightsError
from lowvision.plugins import registry
from lowvision.plugins.contracts import Task
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.registry import Plugin, Registry

KNOWN = registry.load()
ALL = [(kind, name) for kind, provided in KNOWN.items() for name in provided]


class Net(toys.Enlarge):
    """A task with the name of a backbone."""

    @property
    def random(self) -> bool:  # type: ignore[override]  # as a plugin may
        """Return True above scale 4."""
        return self.scale > 4


@hookimpl
def lowvision_tasks() -> dict[str, type[Task]]:
    return {"net": Net, "enlarge": Net}


def show(argument: str, *changes: str, size: str | None = None, scale: int | None = None) -> dict[str, Any]:
    """Return the only document about a name."""
    (document,) = names.documents(argument, KNOWN, request.parse(changes, size, scale))
    return document


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_registered_component_is_described(kind: str, name: str) -> None:
    entry = KNOWN.find(kind, name)
    document = descriptions.component(entry, kind)
    assert (document["plural"], document["name"], document["version"]) == (kind, name, entry.version)
    assert document["about"]
    assert [option["name"] for option in document["options"]] == list(getattr(entry.component, "model_fields", ()))
    assert all(option["type"] != "anything" for option in document["options"])
    noun = "weights" if document["kind"] == "weights" else f"a {document['kind']}"
    assert page.text([document]).startswith(f"{name}: {noun} of {entry.plugin} (")


def test_attributes_of_a_contract_are_shown() -> None:
    assert show("dncnn")["properties"] == {"multiple_of": 1, "scales": (1,), "trains_all": False}
    assert show("denoise")["properties"] == {"random": True, "margin": 0}


def test_an_attribute_that_depends_on_options_is_shown_as_such() -> None:
    known = Registry([Plugin(__name__, "more", "1")])
    (document,) = names.documents("tasks.net", known, ShowRequest())
    assert document["properties"] == {"random": "follows from the options", "margin": 0}
    assert "random  follows from the options" in page.text([document])


def test_a_runtime_lists_what_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowvision_runtimes.find_spec", lambda library: None)
    assert "openvino is not installed" in show("openvino")["missing"]
    assert "openvino is not installed; pip install" in page.text([show("openvino")])


def test_a_name_of_several_kinds_is_shown_for_each_and_can_be_restricted() -> None:
    known = Registry([Plugin(__name__, "more", "1"), *toys.registry().plugins])
    documents = names.documents("net", known, ShowRequest())
    assert [document["plural"] for document in documents] == ["tasks", "backbones"]
    assert "\n\nnet: a backbone of toys (lowvision-toys 1.0)\n" in page.text(documents)
    with pytest.raises(UsageError, match=r"net: the name has several kinds; give e\.g\. tasks\.net"):
        names.documents("net", known, ShowRequest(changes=("channels=8",)))
    with pytest.raises(PluginError, match="task 'enlarge' is claimed by"):
        names.documents("enlarge", known, ShowRequest())


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("crn", "crn: no component, recipe or file of that name; did you mean 'carn'?"),
        ("sr_carnn", "did you mean 'sr_carn'?"),
        ("tasks.carn", "tasks.carn: no component, recipe or file of that name; "),
        ("xyzzy", "`lowvision ls` lists all names"),
        ("none.safetensors", "none.safetensors: no component, recipe or file of that name"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_suggestion(argument: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        show(argument)
    assert message in str(caught.value)


def test_a_missing_name_mentions_the_failed_plugins() -> None:
    known = Registry([Plugin("no_such_module", "acme", "1.0")])
    with pytest.raises(UsageError, match="plugin no-such-module failed to load: ModuleNotFoundError"):
        names.documents("carn", known, ShowRequest())


def test_a_recipe_is_described_with_networks_and_stages() -> None:
    document = show("sr_carn")
    assert (document["kind"], document["name"], document["task"]["sr"]["scale"]) == ("recipe", "sr_carn", 4)
    assert [branch["carn"]["channels"] for branch in document["branches"]] == [36, 52, 64]
    costs = [branch["multiply_adds"] for branch in document["branches"]]
    assert costs == sorted(costs)
    assert [stage["name"] for stage in document["stages"]][:3] == ["base", "rank", "branches"]
    assert document["stages"][0]["options"].items() >= {"steps": 200, "batch": 12}.items()
    assert set(document["data"]) == {"train", "valid", "test"}
    text = page.text([document])
    assert "branch 0    carn (channels 36, " in text
    assert f"{costs[0] / costs[-1]:.0%} of the base" in text
    assert re.search(
        r"base +Train the base, i\.e\. the network of the last branch, on all tiles\. +steps 200, batch 12", text
    )


def test_a_recipe_accepts_overrides_and_a_size() -> None:
    document = show("sr_fsrcnn", "reduce.channels=[8, 16]", "stages.joint=null", size="64x32")
    assert [branch["fsrcnn"]["channels"] for branch in document["branches"]] == [8, 16]
    assert document["size"] == [64, 32]
    assert "joint" not in [stage["name"] for stage in document["stages"]]
    with pytest.raises(RecipeError, match="unknown key"):
        show("sr_fsrcnn", "sede=3")
    with pytest.raises(
        UsageError, match="--scale applies only to backbones and classifiers; change the scale of a recipe"
    ):
        show("sr_fsrcnn", scale=2)
    with pytest.raises(RecipeError, match=r"none\.yml: no such file"):
        show("none.yml")


def test_a_weights_file_is_described_by_its_header(weights_file: Path) -> None:
    document = show(str(weights_file))
    architecture = tiny.architecture()
    assert (document["kind"], document["holds"], document["bytes"]) == (
        "weights file",
        "container",
        weights_file.stat().st_size,
    )
    assert document["tile"]["size"] == architecture.tile.size
    assert [branch["fsrcnn"]["channels"] for branch in document["branches"]] == [
        b.channels for b in architecture.branches
    ]  # type: ignore[attr-defined]  # they are FSRCNN
    assert document["classifier"]["parameters"] > 0
    assert document["plugins"] == {"lowvision-framework": registry.load().find("tasks", "sr").version}
    text = page.text([document])
    assert text.startswith(f"{weights_file.name}: a weights file that holds a container\n")
    for options in ({"changes": ("a=1",)}, {"scale": 2}):
        with pytest.raises(UsageError, match="weights"):
            names.documents(str(weights_file), KNOWN, ShowRequest(**options))  # type: ignore[arg-type]  # values of two types


def test_a_file_without_weights_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_text("nothing of the kind")
    with pytest.raises(WeightsError, match="not a complete safetensors file"):
        show(str(tmp_path / "a.safetensors"))
    with pytest.raises(WeightsError):
        show(str(tmp_path))


def test_shipped_weights_are_described_by_their_file() -> None:
    shipped_entry, file = names.documents("sr-carn-x4", KNOWN, ShowRequest())
    assert shipped_entry["plugin"] == "lowvision-zoo"
    assert file["provenance"]["license"] == "Apache-2.0"
    assert len(file["branches"]) == 3
    text = page.text([shipped_entry, file])
    assert "license     Apache-2.0" in text
