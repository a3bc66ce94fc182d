"""What the networks of a backbone or a classifier have and cost: parameters and exact multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lowvision.commands.show.wanted import Wanted
from lowvision.config import yaml_reader
from lowvision.errors import LowvisionError, UsageError, summary_of
from lowvision.models.architecture import Architecture, Tile
from lowvision.plugins.choice import choose
from lowvision.plugins.contracts import Backbone, Classifier, Task
from lowvision.plugins.registry import Entry, Registry

if TYPE_CHECKING:
    from torch import nn

SCALES = (4, 3, 2, 1)
"""Tried for what can be built for any scale."""
CLASSES = 3
"""Of a classifier that stands alone: as many as in the paper."""


def document(entry: Entry, kind: str, registry: Registry, wanted: Wanted) -> dict[str, Any]:
    """The network with its defaults, or with the options that are wanted, for a task of the scale that is wanted.

    Raises UsageError for options, a scale or a size that it does not have. What it does not have by default, such as
    an option that must be given, is told in the document.
    """
    made = _made(entry, kind, registry, wanted.changes)
    if isinstance(made, str):
        return {"problem": made}
    task = _task(made, registry, wanted.scale, entry)
    width, height = wanted.width or Tile().size, wanted.height or Tile().size
    measured = cost(made, task, width, height)
    if "problem" in measured and (wanted.changes or wanted.width or wanted.scale):
        raise UsageError(f"{entry.name}: {measured['problem']}")
    options = made.model_dump(mode="json", context=registry)
    return {"with": options, "task": registry.serialize(task), "size": [width, height], **measured}


def of_architecture(architecture: Architecture, registry: Registry, width: int, height: int) -> dict[str, Any]:
    """Task, branches, classifier and tile of a network or a container, each network with its parameters and cost."""
    task, classifier = architecture.task, architecture.classifier
    branches = [{**registry.serialize(branch), **cost(branch, task, width, height)} for branch in architecture.branches]
    document: dict[str, Any] = {"task": registry.serialize(task), "size": [width, height], "branches": branches}
    if classifier is not None:
        measured = cost(classifier, task, width, height, classes=len(branches))
        document["classifier"] = {**registry.serialize(classifier), **measured}
    return {**document, "tile": architecture.tile.model_dump()}


def cost(options: Backbone | Classifier, task: Task, width: int, height: int, classes: int = CLASSES) -> dict[str, Any]:
    """`parameters`, and `multiply_adds` for one input of that size in LQ pixels; or `problem`, why there are none.

    `theoretical_multiply_adds`, beside them, where masks keep some of its weights at zero.
    """
    import torch

    from lowvision.routing import cost

    multiple = options.multiple_of if isinstance(options, Backbone) else 1
    if width % multiple or height % multiple:
        return {"problem": f"height and width of its input must be multiples of {multiple}, not {width}x{height}"}
    try:
        with torch.device("meta"):
            network = _built(options, task, classes)
        shape = 1, task.channels, height, width
        counted = {"parameters": cost.parameters(network), "multiply_adds": cost.multiply_adds(network, shape)}
        if cost.may_mask(network):  # the values of masks have to be there
            theoretical = cost.theoretical_multiply_adds(_built(options, task, classes), shape)
            if theoretical < counted["multiply_adds"]:
                counted["theoretical_multiply_adds"] = theoretical
        return {
            **counted,
            **({"reach": options.reach(task)} if isinstance(options, Backbone) else {}),
        }
    except Exception as error:  # whatever a stranger's network raises is an answer to what was asked
        return {"problem": f"cannot be built or counted: {summary_of(error)}"}


def _built(options: Backbone | Classifier, task: Task, classes: int) -> nn.Module:
    return options.build(task) if isinstance(options, Backbone) else options.build(task, classes)


def _made(entry: Entry, kind: str, registry: Registry, changes: tuple[str, ...]) -> Any:
    """The options model; or, where nothing was changed, what must be given to have one."""
    given = dict(_given(entry.name, changes))
    try:
        return choose(kind, {entry.name: given}, registry)
    except ValidationError as error:
        # Each of them is a plain sentence already, and begins at the name of the thing.
        told = [f"{'.'.join(map(str, fault['loc'][1:]))} {fault['msg']}".strip() for fault in error.errors()]
    if changes:
        raise UsageError("\n".join(f"{entry.name}: {line}" for line in told))
    return f"{'; '.join(told)}; give options as `lowvision show {entry.name} OPTION=VALUE`"


def _given(name: str, changes: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for change in changes:
        option, equals, text = change.partition("=")
        if not (equals and option.strip()):
            raise UsageError(f"{name}: '{change}' sets nothing; write OPTION=VALUE, as channels=36")
        try:
            yield option.strip(), yaml_reader.parse(text, name).value
        except LowvisionError as error:
            raise UsageError(f"{name}: {option}: {str(error).split(': ', 1)[1]}") from None


def _task(options: Any, registry: Registry, scale: int | None, entry: Entry) -> Task:
    """A task of that scale, or of the largest scale that the network can be built for; if it can be, of its plugin."""
    possible = options.scales if isinstance(options, Backbone) and options.scales else SCALES
    if scale is not None and isinstance(options, Backbone) and options.scales and scale not in options.scales:
        raise UsageError(f"{entry.name} can be built for scale {', '.join(map(str, options.scales))}, not {scale}")
    tasks = sorted(registry["tasks"].values(), key=lambda task: (task.plugin != entry.plugin, task.name))
    for asked in [scale] if scale is not None else sorted(possible, reverse=True):
        for task in tasks:
            try:
                return task.component(scale=asked)
            except ValidationError:
                continue
    raise UsageError(f"{entry.name}: no task of scale {scale or ', '.join(map(str, possible))} is installed")
