"""Claims about how `show` resolves a name."""

from __future__ import annotations

from typing import Any

import pytest
import toys

from lowvision.commands.show import names, page, request
from lowvision.commands.show.request import ShowRequest
from lowvision.errors import PluginError, UsageError
from lowvision.plugins import registry
from lowvision.plugins.contracts import Task
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.registry import Registry

KNOWN = registry.load()


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


def test_shipped_weights_are_described_by_their_file() -> None:
    shipped_entry, file = names.documents("sr-carn-x4", KNOWN, ShowRequest())
    assert shipped_entry["plugin"] == "lowvision-zoo"
    assert file["provenance"]["license"] == "Apache-2.0"
    assert len(file["branches"]) == 3
    text = page.text([shipped_entry, file])
    assert "license     Apache-2.0" in text
