"""Build the networks of a recipe on the meta device, and find what is wrong with them before a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from lowvision.errors import LowvisionError, message_of, summary_of
from lowvision.pipeline import output_shapes
from lowvision.plugins.contracts import Adaptive, Backbone, Task
from lowvision.plugins.registry import Registry
from lowvision.recipe.models import Recipe
from lowvision.routing import cost
from lowvision.routing.container import RoutedContainer
from lowvision.system import meta_device

COSTLY = 0.2
"""Share of the base's cost on a tile from which a classifier costs about what routing saves."""


@dataclass(frozen=True)
class NetworkIssue:
    """A validation issue, and the exception of a plugin that it reports."""

    text: str
    cause: Exception | None = None


@dataclass(frozen=True)
class _Part:
    """A backbone or the classifier of a recipe."""

    place: str
    """Key in the recipe."""
    name: str
    """Name in messages, e.g. "backbone 'carn'"."""
    build: Callable[[], nn.Module]
    """Builds the form that is used after training."""


def find(recipe: Recipe, registry: Registry) -> Iterator[NetworkIssue]:
    """Yield what is wrong with the networks of a recipe: how they are built, their outputs and their costs."""
    networks: dict[str, nn.Module] = {}
    parts = [*_parts(recipe, registry)]
    for part in parts:
        try:
            with meta_device.structure_only():
                networks[part.place] = part.build()
        except Exception as error:  # a plugin may raise anything
            yield NetworkIssue(f"{part.place}: {part.name} cannot be built: {_reason(error)}", error)
    if len(networks) < len(parts):
        return
    container = _container(networks)
    if recipe.stages.calibrate and not recipe.classifier and not isinstance(container.branches.networks[-1], Adaptive):
        yield NetworkIssue(
            "stages.calibrate: the cost of a single network is fixed unless the network is adaptive; remove the stage"
        )
    issues = [issue for part in parts for issue in _shape_issues(part, networks[part.place], recipe)]
    yield from issues
    if not any(issue.cause for issue in issues):
        yield from _cost_issues(container, recipe)


def costly_classifier(recipe: Recipe) -> str | None:
    """Return a warning if the classifier costs so much of the base on a tile that routing cannot save time."""
    if recipe.classifier is None:
        return None
    with meta_device.structure_only():
        container = recipe.architecture.deployed().build_container()
    shape = _tile(recipe)
    spent, base = container.classifier_cost(shape), container.branches.costs(shape)[-1]
    if spent <= COSTLY * base:
        return None
    return (
        f"classifier: costs {spent / 1e6:.1f} M multiply-adds a tile, {spent / base:.0%} of the base's "
        f"{base / 1e6:.1f} M, so routing saves little or nothing; choose a cheaper classifier or a larger base"
    )


def _parts(recipe: Recipe, registry: Registry) -> Iterator[_Part]:
    task, branches = recipe.task, recipe.architecture.branches
    for k, backbone in enumerate(branches):
        name = f"backbone '{registry.name_of(backbone)}'"
        yield _Part(f"branches.{k}", name, lambda backbone=backbone: _deployed_network(backbone, task))  # type: ignore[misc]  # mypy does not infer the default
    if classifier := recipe.classifier:
        name = f"classifier '{registry.name_of(classifier)}'"
        yield _Part("classifier", name, lambda: _module(classifier.build(task, len(branches))))


def _deployed_network(backbone: Backbone, task: Task) -> nn.Module:
    """Build the training form too, which must be valid."""
    network, deployed = _module(backbone.build(task)), backbone.deployed()
    return network if deployed == backbone else _module(deployed.build(task))


def _module(built: object) -> nn.Module:
    if not isinstance(built, nn.Module):
        raise ValueError(f"its build returns a {type(built).__name__}; return a torch.nn.Module")
    return built


def _container(networks: Mapping[str, nn.Module]) -> RoutedContainer:
    branches = [network for place, network in networks.items() if place != "classifier"]
    return RoutedContainer(networks.get("classifier", nn.Identity()), branches)


def _shape_issues(part: _Part, network: nn.Module, recipe: Recipe) -> Iterator[NetworkIssue]:
    side, scale = recipe.tile.size, recipe.task.scale
    tiles = torch.empty(output_shapes.BATCH, *_tile(recipe), device="meta")
    images = (*tiles.shape[:2], side * scale, side * scale)
    expected = (output_shapes.BATCH, len(recipe.branches)) if part.place == "classifier" else images
    try:
        for text in output_shapes.issues(part.place, cost.weightless(network), tiles, expected):
            yield NetworkIssue(text)
    except Exception as error:  # a plugin may raise anything
        text = f"{part.place}: a tile of {side} does not pass through {part.name}: {_reason(error)}"
        yield NetworkIssue(text, error)


def _cost_issues(container: RoutedContainer, recipe: Recipe) -> Iterator[NetworkIssue]:
    shape = _tile(recipe)
    try:
        container.classifier_cost(shape)
        costs = container.branches.costs(shape)
    except Exception as error:  # a plugin may raise anything
        yield NetworkIssue(f"tile: the cost of a tile of {recipe.tile.size} cannot be counted: {_reason(error)}", error)
        return
    for k in range(len(costs) - 1):
        if costs[k] >= costs[k + 1]:
            yield NetworkIssue(
                f"branches: branch {k} costs {costs[k] / 1e6:.1f} M multiply-adds a tile and branch {k + 1} "
                f"{costs[k + 1] / 1e6:.1f} M; list them in order of increasing cost"
            )


def _tile(recipe: Recipe) -> tuple[int, int, int]:
    return recipe.task.channels, recipe.tile.size, recipe.tile.size


def _reason(error: Exception) -> str:
    """Return the message of an error that a plugin raises on purpose; of any other, also how to find its place."""
    if isinstance(error, ValueError | LowvisionError):
        return message_of(error)
    return f"{summary_of(error)}; --debug prints the traceback"
