"""Claims about the cost of a network as `show` prints it."""

from __future__ import annotations

from typing import Any

import pytest

from lowvision.commands.show import names, page, request
from lowvision.errors import UsageError
from lowvision.plugins import registry
from lowvision.plugins.contracts import Backbone
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.hookspecs import hookimpl
from lowvision.plugins.registry import Registry

KNOWN = registry.load()


class File(Backbone):
    """A network with a required option."""

    path: str
    """The file."""
    multiple_of = 8

    def build(self, task: Any) -> Any:
        raise OSError(f"{self.path} is not there")

    def reach(self, task: Any) -> None:
        return None


class FirstByName(KNOWN.find("tasks", "sr").component):  # type: ignore[misc]  # a plugin's class
    """A task whose name sorts before all others."""


@hookimpl
def lowvision_tasks() -> dict[str, Any]:
    return {"aardvark": FirstByName}


@hookimpl
def lowvision_backbones() -> dict[str, type[Backbone]]:
    return {"file": File}


def network(argument: str, *changes: str, size: str | None = None, scale: int | None = None) -> dict[str, Any]:
    known = Registry([*KNOWN.plugins, Plugin(__name__, "files", "1.0")])
    (document,) = names.documents(argument, known, request.parse(changes, size, scale))
    return {**document["network"], "text": page.text([document])}


def test_parameters_and_cost_equal_those_of_the_built_network() -> None:
    task = KNOWN.find("tasks", "sr").component(scale=3)
    built = KNOWN.find("backbones", "fsrcnn").component(channels=16, layers=2).build(task)
    document = network("fsrcnn", "channels=16", "layers=2", size="40x24", scale=3)
    assert document["parameters"] == sum(parameter.numel() for parameter in built.parameters())
    # Every weight is used once a pixel of the input: the 5x5, 1x1 and 3x3 convolutions, and the 9x9 transposed one.
    weights = sum(parameter.numel() for parameter in built.parameters() if parameter.ndim == 4)
    assert document["multiply_adds"] == weights * 40 * 24
    assert document["size"] == [40, 24]
    assert document["task"]["sr"]["scale"] == 3
    assert document["with"].items() >= {"channels": 16, "layers": 2, "shrink": 12}.items()
    assert (
        f"{document['parameters']:,} parameters, {document['multiply_adds'] / 1e6:.2f} M multiply-adds"
        in document["text"]
    )


def test_by_default_the_cost_is_for_the_largest_scale_and_one_tile() -> None:
    assert network("carn")["task"]["sr"]["scale"] == 4
    assert network("carn")["size"] == [32, 32]
    ((_, task),) = network("dncnn")["task"].items()
    assert task["scale"] == 1


def test_a_classifier_has_a_cost_too() -> None:
    document = network("class_module", size="64x64")
    last = 32 * 3  # features by classes, once an image
    assert document["multiply_adds"] - last == 4 * (network("class_module")["multiply_adds"] - last) > 0
    assert "reach" not in document


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("carn", "channels=37"), {}, "carn: channels 37 must be a multiple of groups 4"),
        (("carn", "chanels=36"), {}, "carn: chanels unknown key (did you mean 'channels'?)"),
        (("carn", "channels=a b"), {}, "carn: channels must be a whole number, not 'a b'"),
        (("carn", "channels=0", "layers=0"), {}, "carn: channels must be at least 1, not 0\ncarn: layers must be"),
        (("carn", "channels"), {}, "carn: 'channels' is no OPTION=VALUE; give e.g. channels=36"),
        (("carn", "channels=010"), {}, "carn: channels: 010 is ambiguous between YAML readers"),
        (("carn",), {"scale": 5}, "carn: no scale 5; it supports scale 1, 2, 3, 4"),
        (("carn",), {"size": "32"}, "--size 32: must be width and height in pixels; give e.g. 32x32"),
        (("carn",), {"size": "0x8"}, "--size 0x8: must be"),
        (("channels", "least=1"), {}, "channels: only backbones and classifiers have options and a cost"),
        (("file", "path=a"), {"size": "12x8"}, "width and height of the input must be multiples of 8; got 12x8"),
        (("file", "path=a"), {}, "file: cannot be built or counted: OSError: a is not there"),
    ],
)
def test_impossible_requests_are_reported(arguments: tuple[str, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        network(*arguments, **options)
    assert message in str(caught.value)


def test_a_network_with_a_required_option_is_shown_without_cost() -> None:
    document = network("file")
    assert document["problem"] == "path is missing; give options as `lowvision show file OPTION=VALUE`"
    assert "cost         path is missing" in document["text"]
    assert "path  text  required  The file." in document["text"]


def test_without_a_suitable_task_the_cost_is_unknown() -> None:
    known = Registry([Plugin("lowvision_sr", "lowvision-sr", "1"), Plugin(__name__, "files", "1.0")])
    with pytest.raises(UsageError, match="class_module: no task of scale 4, 3, 2, 1 is installed"):
        names.documents(
            "class_module", Registry([Plugin("lowvision_classifiers", "c", "1")]), request.parse((), None, None)
        )
    assert names.documents("carn", known, request.parse((), None, None))


def test_another_plugin_does_not_change_the_task_of_a_network() -> None:
    assert "aardvark" in Registry([*KNOWN.plugins, Plugin(__name__, "files", "1.0")])["tasks"]
    (network_document,) = names.documents("edsr", KNOWN, request.parse((), None, None))
    assert network("edsr")["task"] == network_document["network"]["task"]


@pytest.mark.parametrize(("name", "task"), [("disp", "sr"), ("rlfn", "sr"), ("dncnn", "denoise")])
def test_a_network_is_shown_for_the_simplest_task_of_its_scale(name: str, task: str) -> None:
    (document,) = names.documents(name, KNOWN, request.parse((), None, None))
    assert list(document["network"]["task"]) == [task]
