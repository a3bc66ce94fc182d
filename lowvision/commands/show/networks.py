"""Count parameters and exact multiply-adds of backbones and classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lowvision.commands.show.request import ShowRequest
from lowvision.config import yaml_reader
from lowvision.errors import LowvisionError, UsageError, summary_of
from lowvision.models.architecture import Architecture, Tile
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Backbone, Classifier, Task
from lowvision.plugins.entry_points import FRAMEWORK
from lowvision.plugins.registry import Entry, Registry

if TYPE_CHECKING:
    from torch import nn

SCALES = (4, 3, 2, 1)
"""Scales to try if a network supports any scale."""
CLASSES = 3
"""Number of classes of a classifier without branches: that of the paper."""


def document(entry: Entry, kind: str, registry: Registry, request: ShowRequest) -> dict[str, Any]:
    """Describe a network with its default options, or with the requested options, scale and size.

    Raises UsageError for options, a scale or a size that the network does not support. If nothing was requested and
    the network cannot be built, e.g. because an option is required, the document holds the reason as `problem`.
    """
    model = _model(entry, kind, registry, request.changes)
    if isinstance(model, str):
        return {"problem": model}
    task = _task(model, registry, request.scale, entry)
    width, height = request.width or Tile().size, request.height or Tile().size
    measured = cost(model, task, width, height)
    if "problem" in measured and (request.changes or request.width or request.scale):
        raise UsageError(f"{entry.name}: {measured['problem']}")
    options = model.model_dump(mode="json", context=registry)
    return {"with": options, "task": registry.serialize(task), "size": [width, height], **measured}


def of_architecture(architecture: Architecture, registry: Registry, width: int, height: int) -> dict[str, Any]:
    """Describe task, branches, classifier and tile of an architecture, with parameters and cost per network."""
    task, classifier = architecture.task, architecture.classifier
    branches = [{**registry.serialize(branch), **cost(branch, task, width, height)} for branch in architecture.branches]
    document: dict[str, Any] = {"task": registry.serialize(task), "size": [width, height], "branches": branches}
    if classifier is not None:
        measured = cost(classifier, task, width, height, classes=len(branches))
        document["classifier"] = {**registry.serialize(classifier), **measured}
    return {**document, "tile": architecture.tile.model_dump()}


def cost(options: Backbone | Classifier, task: Task, width: int, height: int, classes: int = CLASSES) -> dict[str, Any]:
    """Return `parameters`, and `multiply_adds` for one input of that size in LQ pixels; or the reason as `problem`.

    For a backbone that is trained in another form than it is deployed in, these are those of the deployed form, and
    `training` has those of the other. If masks keep some weights at zero, also return `theoretical_multiply_adds`,
    which leave these weights out.
    """
    if isinstance(options, Backbone) and options.deployed() != options:
        counted = cost(options.deployed(), task, width, height)
        return {**counted, "training": _counted(options, task, width, height, classes)}
    return _counted(options, task, width, height, classes)


def _counted(options: Backbone | Classifier, task: Task, width: int, height: int, classes: int) -> dict[str, Any]:
    """Return what `cost` returns, for the form that the options name."""

    from lowvision.routing import cost
    from lowvision.system import meta_device

    multiple = options.multiple_of if isinstance(options, Backbone) else 1
    if width % multiple or height % multiple:
        return {"problem": f"width and height of the input must be multiples of {multiple}; got {width}x{height}"}
    try:
        with meta_device.structure_only():
            network = _built(options, task, classes)
        shape = 1, task.channels, height, width
        counted = {"parameters": cost.parameters(network), "multiply_adds": cost.multiply_adds(network, shape)}
        if cost.may_mask(network):  # needs the values of the masks
            theoretical = cost.theoretical_multiply_adds(_built(options, task, classes), shape)
            if theoretical < counted["multiply_adds"]:
                counted["theoretical_multiply_adds"] = theoretical
        return {
            **counted,
            **({"reach": options.reach(task)} if isinstance(options, Backbone) else {}),
        }
    except Exception as error:  # a plugin's network may raise anything; the document holds it
        return {"problem": f"cannot be built or counted: {summary_of(error)}"}


def _built(options: Backbone | Classifier, task: Task, classes: int) -> nn.Module:
    return options.build(task) if isinstance(options, Backbone) else options.build(task, classes)


def _model(entry: Entry, kind: str, registry: Registry, changes: tuple[str, ...]) -> Any:
    """Return the options model; or, if there are no changes, the reason why there is none."""
    values = dict(_parse_changes(entry.name, changes))
    try:
        return choose(kind, {entry.name: values}, registry)
    except ValidationError as error:
        # Each message is a plain sentence already; its location starts with the component's name.
        reasons = [f"{'.'.join(map(str, fault['loc'][1:]))} {fault['msg']}".strip() for fault in error.errors()]
    if changes:
        raise UsageError("\n".join(f"{entry.name}: {line}" for line in reasons))
    return f"{'; '.join(reasons)}; give options as `lowvision show {entry.name} OPTION=VALUE`"


def _parse_changes(name: str, changes: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for change in changes:
        option, equals, text = change.partition("=")
        if not (equals and option.strip()):
            raise UsageError(f"{name}: '{change}' is no OPTION=VALUE; give e.g. channels=36")
        try:
            yield option.strip(), yaml_reader.parse(text, name).value
        except LowvisionError as error:
            raise UsageError(f"{name}: {option}: {str(error).split(': ', 1)[1]}") from None


def _remoteness(task: Entry, network: Entry) -> tuple[bool, bool, int, str]:
    """Return the sort key of tasks for a network: installing another plugin must not change the first one.

    Of the tasks of the framework, the one with the fewest options comes first: `sr`, if the network enlarges.
    """
    options = len(task.component.model_fields)  # type: ignore[attr-defined]  # tasks are options models
    return task.plugin != network.plugin, task.distribution != FRAMEWORK, options, task.name


def _task(options: Any, registry: Registry, scale: int | None, entry: Entry) -> Task:
    """Return a task of that scale, or of the largest scale that the network supports; prefer its plugin's tasks."""
    possible = options.scales if isinstance(options, Backbone) and options.scales else SCALES
    if scale is not None and isinstance(options, Backbone) and options.scales and scale not in options.scales:
        raise UsageError(f"{entry.name}: no scale {scale}; it supports scale {', '.join(map(str, options.scales))}")
    tasks = sorted(registry["tasks"].values(), key=lambda task: _remoteness(task, entry))
    for candidate in [scale] if scale is not None else sorted(possible, reverse=True):
        for task in tasks:
            try:
                return task.component(scale=candidate)
            except ValidationError:
                continue
    raise UsageError(f"{entry.name}: no task of scale {scale or ', '.join(map(str, possible))} is installed")
