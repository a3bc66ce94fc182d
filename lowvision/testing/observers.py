"""Check an observer against its contract, by following small runs with it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lowvision.config import yaml_reader
from lowvision.config.validation import did_you_mean
from lowvision.pipeline import run, run_folder
from lowvision.plugins.observers import Observer, ObserverOptions, StopStage, Values
from lowvision.plugins.registry import Registry
from lowvision.recipe import reading
from lowvision.testing import options, small_run
from lowvision.testing.subject import one_line

FIT = {**small_run.FIT, "steps": 8}
METHODS = tuple(name for name in vars(Observer) if name.startswith("on_"))


def check_observer(observer: ObserverOptions) -> None:
    """Check an observer against its contract, by following two small runs, of which one is interrupted and resumed.

    Checks: serialization of options; `build` returns a new observer each time; the names of its methods, and
    `wants_images`; no method raises anything but `StopStage` in `on_metrics` and the exceptions of `ends_run`; metrics
    and images are not changed; every file that it writes comes from `file`, so that `--restart` removes it; it stops a
    stage at the same step if the run was interrupted. Raises AssertionError at the first failure.
    """
    options.check_options(observer)
    _check_class(observer)
    with tempfile.TemporaryDirectory() as temporary, small_run.components() as components:
        folder = Path(temporary)
        source = folder / "recipe.yml"
        recipe = {**small_run.recipe(folder), "stages": {"base": FIT, "evaluate": {"pictures": 0}}}
        source.write_text(yaml_reader.dump(recipe))
        first, second = folder / "first", folder / "second"
        stopped = _follow(observer, source, components, first)
        if unlisted := run_folder.unlisted(first):
            raise _failure(
                observer, f"writes {unlisted[0]}, which --restart would keep; get the path of every file from `file`"
            )
        with small_run.interrupted("base", second):
            _follow(observer, source, components, second)
        if (resumed := _follow(observer, source, components, second)) != stopped:
            raise _failure(
                observer,
                f"stops the stage at {_step(stopped)}, but at {_step(resumed)} if the run was interrupted; restore "
                "its state from the `history` of on_stage_start",
            )


def _failure(observer: ObserverOptions, message: str) -> AssertionError:
    return AssertionError(f"{options.name_of(observer)}: {message}")


def _step(stopped: int | None) -> str:
    return "no step" if stopped is None else f"step {stopped}"


def _check_class(observer: ObserverOptions) -> None:
    built = observer.build()
    if not isinstance(built, Observer):
        raise _failure(observer, f"build returns a {type(built).__name__}; return a lowvision.Observer")
    if observer.build() is built:
        raise _failure(observer, "build returns the same observer again; return a new one, since runs may be parallel")
    kind = type(built)
    own = [name for base in kind.__mro__ if base not in Observer.__mro__ for name in vars(base)]
    for name in own:
        if name.startswith("on_") and name not in METHODS:
            hint = did_you_mean(name, METHODS) or f"the methods are {', '.join(METHODS)}"
            raise _failure(observer, f"{kind.__name__}.{name} is never called; {hint}")
    if "on_images" in own and not built.wants_images:
        raise _failure(observer, f"{kind.__name__}.on_images is never called; set wants_images = True")


def _follow(observer: ObserverOptions, source: Path, components: Registry, folder: Path) -> int | None:
    """Run the recipe with a new observer; return the step at which it stopped the stage, None if it did not."""
    watched = _Watched(observer, observer.build())
    try:
        recipe = reading.read(source, components)
        run.run(recipe, components, source, folder, restart=False, device="cpu", observers=[watched], prints=False)
    except watched.ends_run as error:
        if isinstance(error, AssertionError):
            raise
    return watched.stopped


class _Watched(Observer):
    """Passes every call on to an observer, and raises AssertionError for what its contract forbids."""

    def __init__(self, subject: ObserverOptions, observer: Observer):
        self.wants_images = observer.wants_images
        self.ends_run = (AssertionError, *observer.ends_run)
        self.stopped: int | None = None
        self._subject, self._observer, self._failed = subject, observer, False

    def on_run_start(self, recipe: Any, file: Callable[[str], Path]) -> None:
        with self._checked("on_run_start"):
            self._observer.on_run_start(recipe, file)

    def on_stage_start(self, stage: str, history: Sequence[tuple[int, Values]]) -> None:
        with self._checked("on_stage_start", history):
            self._observer.on_stage_start(stage, history)

    def on_metrics(self, stage: str, step: int, values: Values) -> None:
        try:
            with self._checked("on_metrics", values):
                self._observer.on_metrics(stage, step, values)
        except StopStage:
            self.stopped = step
            raise

    def on_images(self, stage: str, step: int, images: Mapping[str, Tensor]) -> None:
        kept = {name: image.clone() for name, image in images.items()}
        with self._checked("on_images"):
            self._observer.on_images(stage, step, images)
        if not all(torch.equal(images[name], image) for name, image in kept.items()):
            self._fail("on_images changes the images; work on copies")

    def on_stage_end(self, stage: str) -> None:
        with self._checked("on_stage_end"):
            self._observer.on_stage_end(stage)

    def on_run_end(self, report: Mapping[str, Any] | None) -> None:
        if not self._failed:
            with self._checked("on_run_end", report):
                self._observer.on_run_end(report)

    @contextmanager
    def _checked(self, method: str, argument: Any = None) -> Iterator[None]:
        """Let only allowed exceptions pass, and compare the argument after the call with itself before."""
        kept = deepcopy(argument)
        try:
            yield
        except Exception as error:
            if isinstance(error, self._observer.ends_run) or (isinstance(error, StopStage) and method == "on_metrics"):
                raise
            self._fail(f"{method} raises {type(error).__name__}: {one_line(error)}", error)
        if argument != kept:
            self._fail(f"{method} changes its argument; work on a copy")

    def _fail(self, message: str, cause: Exception | None = None) -> None:
        self._failed = True
        raise _failure(self._subject, message) from cause
