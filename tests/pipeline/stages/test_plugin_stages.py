"""Claims about stages of plugins: they are named, ordered, run, resumed, continued and restarted like the core's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import tiny
import toys
import yaml
from safetensors.torch import load_file

from lowvision import BackboneChoice, Stage, Trainable, TrainingStage, hookimpl
from lowvision.errors import LowvisionError, RecipeError
from lowvision.models import weights
from lowvision.pipeline import run, run_folder
from lowvision.plugins import entry_points
from lowvision.plugins.entry_points import Plugin
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading, stage_menu
from lowvision.recipe.schema import schema

RECIPE = """\
task: {sr: {scale: 2}}
backbone: {fsrcnn: {channels: 4, shrink: 4, layers: 1, skip: bicubic}}
tile: {size: 16, overlap: 4}
data: {train: PHOTOS/train, valid: PHOTOS/valid, valid_tiles: 2, workers: 0}
stages:
  refine: {steps: 2, batch: 2, checkpoint_every: 2, valid_every: 2, log_every: 1}
  note:
  base: {steps: 2, batch: 2, checkpoint_every: 2, valid_every: 2, log_every: 1}
  evaluate: null
"""


class Refine(TrainingStage):
    """Train the base further."""

    place: ClassVar[float] = 15
    trains: ClassVar[Trainable | None] = "base"

    teacher: BackboneChoice | None = None
    """Another network."""

    def run(self, context: Any) -> None:
        context.train(context.base(), self)

    def issues(self, recipe: Any) -> Iterable[tuple[str, str]]:
        if self.ema == 0.5:
            yield "ema", "0.5 forgets too fast; give 0.9"
        if recipe.seed == 13:
            yield "", "seed 13 is unlucky; give another"


class Note(Stage):
    """Record the weights of earlier stages."""

    weights_options: ClassVar[tuple[str, ...]] = ("start",)

    start: str | None = None
    """Weights that it copies."""

    def run(self, context: Any) -> None:
        path = context.base_weights()
        context.info("recorded")
        if self.start:
            base = context.architecture.only(-1)
            context.save(context.file("copy.safetensors"), context.load(self.start, base), base, {})
        context.file("note.json").write_text(json.dumps(str(path.relative_to(context.folder))))


@hookimpl
def lowvision_stages() -> Mapping[str, type[Stage]]:
    return {"refine": Refine, "note": Note}


KNOWN = Registry([*entry_points.installed(), Plugin(__name__, "stages", "1.0")])
TOYS = Registry([*toys.registry().plugins, Plugin(__name__, "stages", "1.0")])


def run_here(folder: Path, *overrides: str, restart: bool = False) -> Path:
    """Run the recipe in `folder`, and return the run folder."""
    recipe = folder / "r.yml"
    if not recipe.exists():
        tiny.write_photographs(folder / "photos")
        recipe.write_text(RECIPE.replace("PHOTOS", str(folder / "photos")))
    run.run(reading.read(recipe, KNOWN, overrides), KNOWN, recipe, folder / "run", restart, "cpu")
    return folder / "run"


def complaints(folder: Path, text: str) -> str:
    (folder / "r.yml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        reading.read(folder / "r.yml", TOYS)
    return str(caught.value)


def test_a_stage_runs_at_its_place_and_later_ones_use_its_weights(tmp_path: Path) -> None:
    folder = run_here(tmp_path)
    lines = (folder / "log.txt").read_text().splitlines()
    started = [line.split()[1].removesuffix(":") for line in lines if line.endswith(": started")]
    assert started == ["base", "refine", "note"]
    assert any(line.endswith(" note: recorded") for line in lines)
    assert json.loads((folder / "note" / "note.json").read_text()) == "refine/last.safetensors"
    base, refined = (
        weights.load_network(folder / name / "last.safetensors", header.architecture, KNOWN).state_dict()
        for name in ("base", "refine")
        if (header := weights.read_header(folder / name / "last.safetensors", KNOWN))
    )
    assert any(not base[name].equal(refined[name]) for name in base)

    note = folder / "note" / "note.json"
    note.write_text("kept")
    run_here(tmp_path)  # finished stages do not run again
    assert note.read_text() == "kept"
    run_here(tmp_path, "stages.refine.steps=4")  # continues it, and supersedes what follows
    assert "refine: resumes at step 2" in (folder / "log.txt").read_text()
    assert json.loads(note.read_text()) == "refine/last.safetensors"
    assert (folder / "superseded" / "1" / "note" / "note.json").read_text() == "kept"
    run_here(tmp_path, "stages.refine=null", restart=True)
    assert not (folder / "refine").exists()
    assert json.loads(note.read_text()) == "base/last.safetensors"
    assert not [name for name in run_folder.unlisted(folder) if "superseded" not in name]


def test_a_stage_loads_the_weights_that_its_option_names(tmp_path: Path) -> None:
    first = run_here(tmp_path) / "refine" / "last.safetensors"
    kept = tmp_path / "given.safetensors"
    kept.write_bytes(first.read_bytes())
    folder = run_here(tmp_path, f"stages.note.start={kept}", restart=True)
    copied, expected = load_file(folder / "note" / "copy.safetensors"), load_file(kept)
    assert all(copied[name].equal(expected[name]) for name in expected)
    with pytest.raises(LowvisionError, match=r"stages\.note\.start: missing\.pth: no such file"):
        run_here(tmp_path, "stages.note.start=missing.pth", restart=True)


def test_stages_are_listed_by_their_place() -> None:
    assert stage_menu.menu(KNOWN) == [
        *("base", "distil", "refine", "rank", "branches", "classifier", "joint", "note", "calibrate", "fidelity"),
        "evaluate",
    ]


def test_a_resolved_recipe_lists_its_stages_and_null_for_removed_core_stages(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(toys.RECIPE + "  evaluate: null\n  note:\n")
    recipe = reading.read(tmp_path / "r.yml", TOYS)
    text = reading.resolved(recipe, TOYS)
    stages = yaml.safe_load(text)["stages"]
    assert list(stages) == ["base", "rank", "branches", "classifier", "joint", "note", "evaluate"]
    assert stages["evaluate"] is None
    (tmp_path / "again.yml").write_text(text)
    assert reading.read(tmp_path / "again.yml", TOYS) == recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("  refin: {}\n", "stages.refin: no stage named 'refin'; did you mean 'refine'? (from "),
        ("  refine: {stps: 3}\n", "stages.refine.stps: unknown key (did you mean 'steps'?)"),
        ("  refine: {teacher: nett}\n", "stages.refine.teacher: no backbone named 'nett'; did you mean 'net'?"),
        ("  refine: {ema: 0.5}\n", "stages.refine.ema: 0.5 forgets too fast; give 0.9"),
        ("  refine:\nseed: 13\n", "stages.refine: seed 13 is unlucky; give another"),
        ("  refine: 3\n", "stages.refine: must be a mapping of options, not 3"),
    ],
)
def test_a_wrong_stage_is_reported_with_its_line(change: str, message: str, tmp_path: Path) -> None:
    line = len(toys.RECIPE.splitlines()) + 1
    assert f"r.yml:{line}: {message}" in complaints(tmp_path, toys.RECIPE + change)


def test_a_stage_without_its_data_set_is_an_error(tmp_path: Path) -> None:
    text = "task: enlarge\nbackbone: net\nstages:\n  refine:\n"
    assert complaints(tmp_path, text).endswith("r.yml:4: stages.refine: needs data.train")


def test_a_choice_in_a_stage_replaces_that_of_the_parent(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(toys.RECIPE + "  refine: {teacher: {net: {groups: 2}}}\n")
    recipe = reading.read(tmp_path / "r.yml", TOYS, ["stages.refine.teacher.halves.channels=8"])
    assert recipe.stages.refine.teacher == toys.Halves(channels=8)


def test_the_schema_contains_plugin_stages() -> None:
    definitions = schema(TOYS)["$defs"]
    stages = definitions["stages"]["properties"]
    assert {"refine", "note", "base", "evaluate"} <= stages.keys()
    assert stages["refine"]["anyOf"][0] == {"$ref": "#/$defs/stages.refine"}
    assert definitions["stages.refine"]["properties"]["teacher"]["anyOf"][0] == {"$ref": "#/$defs/backbones"}
    assert definitions["stages"]["additionalProperties"] is False


def test_an_unknown_stage_is_not_an_attribute(tmp_path: Path) -> None:
    recipe = toys.read(tmp_path, toys.RECIPE)
    assert recipe.stages.calibrate is None
    with pytest.raises(AttributeError, match="there is no stage 'calibrat'"):
        _ = recipe.stages.calibrat
