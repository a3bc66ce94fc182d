"""The networks that are measured: from a weights file, an exported package, or a recipe before it is run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch

from lowvision.errors import LowvisionError
from lowvision.inference import package, trained_networks
from lowvision.inference.trained_networks import ModelBundle
from lowvision.models import weights
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading

RECIPES = (".yml", ".yaml")
"""How the names of recipes end."""


def read(path: Path, registry: Registry) -> ModelBundle:
    """The networks of a weights file or an exported package. Raises WeightsError."""
    return package.read(path, registry) if path.is_dir() else trained_networks.read(path, registry)


def untrained(recipe: Path, folder: Path, registry: Registry) -> Path:
    """A weights file in `folder`, of what the recipe trains, before training; the same every time, so that its graphs
    are cached. Raises RecipeError."""
    made = reading.read(recipe, registry).architecture
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = made.build()
    path = folder / f"{recipe.stem}.safetensors"
    weights.save(path, network, made, registry, {})
    return path


def export(parts: ModelBundle) -> None:
    """Put the graphs of all networks into the cache, so that making them counts for no row's memory.

    What cannot be exported is told by the rows that need it.
    """
    for network in (*parts.branches, parts.classifier):
        with suppress(LowvisionError):
            if network:
                network.onnx()
