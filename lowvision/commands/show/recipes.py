"""Build the document of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lowvision.commands.show import networks
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading, shipped


def document(
    name: str, path: Path, registry: Registry, overrides: tuple[str, ...], width: int | None, height: int | None
) -> dict[str, Any]:
    """Describe a recipe: networks with their cost for a tile (or an input of that size), data, and stages in order.

    Raises RecipeError with all errors in the recipe.
    """
    recipe = reading.read(path, registry, overrides)
    size = recipe.tile.size
    described = networks.of_architecture(recipe.architecture, registry, width or size, height or size)
    datasets = {name: getattr(recipe.data, name) for name in ("train", "valid", "test")}
    return {
        "kind": "recipe",
        "name": name,
        "about": shipped.about(path),
        "file": str(path),
        **described,
        "data": {
            name: {registry.name_of(value): value.model_dump(mode="json", exclude_defaults=True, context=registry)}
            for name, value in datasets.items()
            if value is not None
        },
        "stages": [
            {
                "name": name,
                "about": (type(stage).__doc__ or "").partition("\n")[0],
                # The values in the recipe; `lowvision check --resolved` prints the defaults too.
                "options": stage.model_dump(mode="json", exclude_unset=True),
            }
            for name, stage in recipe.stages.items()
        ],
        "seed": recipe.seed,
    }
