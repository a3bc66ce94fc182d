"""A training with degradations on the device gives the same weights as one with degradations by workers."""

from __future__ import annotations

from pathlib import Path

import tiny
import torch
from safetensors.torch import load_file

SHORT = (
    "task={chain: {scale: 2, of: [{blur: {radius: [0.3, 2]}}, noise], context: 4}}",
    "stages={base: {steps: 2, batch: 3, valid_every: 2}, evaluate: null}",
)


def test_the_weights_are_those_of_tiles_that_workers_degrade(tmp_path: Path) -> None:
    recipe = tiny.write_recipe(tmp_path)
    tiny.run(recipe, tmp_path / "workers", *SHORT)
    tiny.run(recipe, tmp_path / "device", "data.degrade=device", *SHORT)
    by_workers, on_device = (load_file(tmp_path / run / "base" / "last.safetensors") for run in ("workers", "device"))
    assert all(torch.equal(on_device[name], by_workers[name]) for name in by_workers)
