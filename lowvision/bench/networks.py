"""Load the networks to measure: from a weights file, an exported package, or a recipe (untrained)."""

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
"""File name endings of recipes."""


def read(path: Path, registry: Registry) -> ModelBundle:
    """Read the networks of a weights file or an exported package. Raises WeightsError."""
    return package.read(path, registry) if path.is_dir() else trained_networks.read(path, registry)


def untrained(recipe: Path, folder: Path, registry: Registry) -> Path:
    """Write a weights file with the untrained networks of a recipe; always the same, so that graphs are cached.

    Raises RecipeError.
    """
    architecture = reading.read(recipe, registry).architecture.deployed()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = architecture.build()
    path = folder / f"{recipe.stem}.safetensors"
    weights.save(path, network, architecture, registry, {})
    return path


def export(parts: ModelBundle) -> None:
    """Export all networks to the cache, so that exporting does not count for a row's memory.

    Export errors are ignored here; the rows that need the graph report them.
    """
    for network in (*parts.branches, parts.classifier):
        with suppress(LowvisionError):
            if network:
                network.onnx()
