"""The work of one worker of `lowvision restore --cluster`: load the weights once, then restore one input at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lowvision.commands import cluster_setup, restore
from lowvision.commands.inputs import Input
from lowvision.commands.restore_one import Computed, computed, keep_times, line_of, opened, outcome_of
from lowvision.commands.restore_outcomes import Outcome
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.errors import UsageError
from lowvision.imaging.image import Frames
from lowvision.inference import restorer
from lowvision.inference.restorer import Restorer
from lowvision.plugins import registry as plugin_registry
from lowvision.system.locations import Location
from lowvision.system.progress import Progress

Stamp = tuple[Any, ...] | None
"""Properties of a file that change when it is replaced; None: there is no file."""


@dataclass(frozen=True)
class Planned:
    """An input, and the state of its result before the command."""

    number: int
    """Place of the input among all."""
    source: Input
    before: Stamp


@dataclass(frozen=True)
class Answer:
    """The outcome of an input, and the line that reports it."""

    outcome: Outcome
    line: str


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs; sent to it once."""

    request: RestoreRequest
    weights: Mapping[str, bytes]
    """Content of the files of the weights by name."""
    folder: Path
    """Working folder of the command, where relative paths start."""
    threads: int
    marker: Path | Location
    """A file that the command wrote among the results."""
    example: Input
    """An input that every worker must see."""

    def build(self) -> Callable[[Planned], Answer]:
        """Load the weights and return the function that restores. Raises UsageError and WeightsError."""
        cluster_setup.enter(self.folder, self.threads)
        self._check_files()
        request, options = self.request, self.request.options
        network = restorer.load(
            cluster_setup.local_weights(request.weights, self.weights),
            device=request.device,
            runtime=request.runtime,
            registry=plugin_registry.load(),
            precision=request.precision,
        )
        network.check_budget(options.budget, options.max_loss, options.speed, options.worst)
        return lambda planned: answer(planned, network, options)

    def _check_files(self) -> None:
        """Raise UsageError unless this machine shares input and output with the one that runs the command."""
        place = cluster_setup.place()
        if not self.marker.is_file():
            output = self.request.remote_output or self.request.output
            raise UsageError(f"{place}: does not see {output} of this command; give a shared folder or a URL as -o")
        if not (self.example.source or self.example.path).is_file():
            raise UsageError(f"{place}: does not see {self.example.names[0]}; give a shared folder or a URL as input")
        if self.request.remote_output is None:
            try:
                restore.check_writable(self.request.output)
            except UsageError as error:
                raise UsageError(f"{place}: {error}") from None


def stamp_of(source: Input) -> Stamp:
    """Return the stamp of the result of an input."""
    if source.target is not None:
        return source.target.stamp()
    try:
        facts = source.result.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def answer(planned: Planned, network: Restorer, options: RestoreOptions) -> Answer:
    """Restore an input; if a worker that died has written its result, do not write it again."""
    if stamp_of(planned.source) != planned.before:
        outcome = _without_writing(planned.source, network, options)
        return Answer(outcome, line_of(outcome, network, options))
    reported = LastLine()
    return Answer(outcome_of(planned.source, network, options, reported), reported.line)


def _without_writing(source: Input, network: Restorer, options: RestoreOptions) -> Outcome:
    """Restore an input whose result was written, for its numbers, which the dead worker did not report."""
    frames = opened(source, network, replace(options, skips_existing=False))
    result = computed(source, frames, network, options, LastLine()) if isinstance(frames, Frames) else frames
    if not isinstance(result, Computed):
        return result
    keep_times(source, options)
    return result.done


class LastLine(Progress):
    """Progress that keeps the line of the last file for the machine that runs the command."""

    line = ""

    def begin(self, name: str) -> None:
        """Ignore: files are reported when they are finished."""

    def move(self, done: int, total: int) -> None:
        """Ignore: tiles are not reported over the network."""

    def end(self, line: str) -> None:
        self.line = line
