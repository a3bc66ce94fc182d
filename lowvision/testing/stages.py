"""Check a stage against its contract, by running it in small recipes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowvision.config import yaml_reader
from lowvision.errors import LowvisionError, message_of
from lowvision.models import weights
from lowvision.pipeline import run, run_folder
from lowvision.plugins import registry
from lowvision.plugins.stages import Stage
from lowvision.recipe import reading
from lowvision.recipe.models import FAULTY_ISSUES
from lowvision.testing import options, small_run
from lowvision.testing.small_run import FIT, NAME, SPLITS, CountingLoss
from lowvision.testing.subject import one_line
from lowvision.training.stage import TrainingStage

EARLIER = {"base": FIT, "rank": {"limit": 8}, "branches": FIT, "classifier": FIT}


def check_stage(stage: Stage, recipe: Mapping[str, Any] | None = None) -> None:
    """Check a stage against its contract, by running it in a small recipe after the core's stages that precede it.

    recipe: keys that replace those of the recipe, e.g. `{"stages": {}}` for a stage that must run alone, or
    `{"branches": [...], "classifier": None}`. Use small options: the stage runs three times.

    Checks: serialization of options; class variables; `issues` accepts any recipe; the stage runs; a `TrainingStage`
    computes the losses of its option `loss`; every file that it writes is listed, so that `--restart` removes it; the
    weights of the network that it `trains` can be read; two runs give the same results, also if the training of one was
    interrupted. Raises AssertionError at the first failure.
    """
    options.check_options(stage)
    _check_class(type(stage))
    if isinstance(stage, TrainingStage):
        stage = stage.model_copy(update={**FIT, "loss": (CountingLoss(),), "warmup": 0, "micro_batch": None})
    with tempfile.TemporaryDirectory() as temporary, small_run.components(stages=type(stage)) as components:
        folder = Path(temporary)
        source = folder / "recipe.yml"
        source.write_text(yaml_reader.dump(_recipe(folder, stage, components, recipe or {})))
        first, second = folder / "first", folder / "second"
        _check_issues(stage, source, components)
        CountingLoss.calls.clear()
        _run(stage, source, components, first)
        _check_loss(stage)
        _check_files(stage, first)
        _check_weights(stage, first, components)
        if isinstance(stage, TrainingStage):
            with small_run.interrupted(NAME, second):
                _run(stage, source, components, second)
        _run(stage, source, components, second)
        _check_equal(stage, first, second)


def _failure(stage: Stage, message: str) -> AssertionError:
    return AssertionError(f"{options.name_of(stage)}: {message}")


def _check_class(kind: type[Stage]) -> None:
    if isinstance(kind.place, bool) or not isinstance(kind.place, int | float):
        raise AssertionError(f"{kind.__name__}: place is {kind.place!r}; give a number, e.g. 15 for after base")
    if unknown := [split for split in kind.needs if split not in SPLITS]:
        raise AssertionError(f"{kind.__name__}: needs '{unknown[0]}'; the data sets are {', '.join(SPLITS)}")


def _recipe(folder: Path, stage: Stage, components: registry.Registry, changes: Mapping[str, Any]) -> dict[str, Any]:
    earlier = {name: fit for name, fit in EARLIER.items() if _place(name, components) < stage.place}
    changed = {**small_run.recipe(folder), "stages": earlier, **changes}
    own = stage.model_dump(mode="json", exclude_unset=True, context=components)
    return {**changed, "stages": {"evaluate": None, **changed["stages"], NAME: own}}


def _place(name: str, components: registry.Registry) -> float:
    place: float = components["stages"][name].component.place  # type: ignore[attr-defined]  # it is a Stage
    return place


def _check_issues(stage: Stage, source: Path, components: registry.Registry) -> None:
    """Check that `issues` can judge recipes without the other stages and without some data sets."""
    alone = [*(f"stages.{name}=null" for name in EARLIER), "stages.evaluate=null", "classifier=null"]
    for missing in SPLITS:
        try:
            reading.read(source, components, [*alone, f"data.{missing}=null"])
        except LowvisionError as error:
            if FAULTY_ISSUES in str(error):
                raise _failure(
                    stage,
                    f"issues fails for a recipe without other stages ({message_of(error)}); a stage that the recipe "
                    "does not have is None as recipe.stages.NAME, a data set as recipe.data.NAME",
                ) from error


def _run(stage: Stage, source: Path, components: registry.Registry, folder: Path) -> None:
    try:
        recipe = reading.read(source, components)
        run.run(recipe, components, source, folder, restart=False, device="cpu")
    except LowvisionError as error:
        raise _failure(stage, f"cannot run in a small recipe: {message_of(error)}") from error
    except Exception as error:  # the stage of a plugin may raise anything
        raise _failure(stage, f"run raises {type(error).__name__} in a small recipe: {one_line(error)}") from error


def _check_loss(stage: Stage) -> None:
    if isinstance(stage, TrainingStage) and not CountingLoss.calls:
        raise _failure(
            stage, "its option `loss` has no effect; compute the loss between images by image_loss in the objective"
        )


def _check_files(stage: Stage, folder: Path) -> None:
    if unlisted := run_folder.unlisted(folder):
        raise _failure(
            stage,
            f"writes {unlisted[0]}, which --restart would keep; get the path of every file from StageContext.file",
        )


def _check_weights(stage: Stage, folder: Path, components: registry.Registry) -> None:
    for path in _results(stage, folder):
        try:
            header = weights.read_header(path, components)
        except LowvisionError as error:
            raise _failure(
                stage, f"`trains` is {stage.trains!r}, but its weights are not usable: {message_of(error)}"
            ) from error
        if (header.kind == "container") != (stage.trains == "container"):
            raise _failure(stage, f"`trains` is {stage.trains!r}, but {path.name} holds a {header.kind}")


def _results(stage: Stage, folder: Path) -> list[Path]:
    """Return the paths of the weights that later stages use."""
    if stage.trains is None:
        return []
    parts = ("0", "1") if stage.trains == "branches" else ("",)
    return [folder / NAME / part / stage.result for part in parts]


def _check_equal(stage: Stage, first: Path, second: Path) -> None:
    results = [run_folder.digests(folder / NAME) for folder in (first, second)]
    if results[0] != results[1]:
        names = [name for name in results[0] if results[0][name] != results[1].get(name)]
        raise _failure(
            stage,
            f"two runs differ in {names[0] if names else 'the files that they write'}; derive all randomness from "
            "context.recipe.seed, and train by StageContext.train, which resumes exactly",
        )
