"""Restore files one after another for an accelerator: it computes one while the next is read and others are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from lowvision.commands.inputs import Input
from lowvision.commands.restore_one import Computed, computed, line_of, opened, outcome_of, written
from lowvision.commands.restore_outcomes import Done, Failed, Outcome, Skipped
from lowvision.commands.restore_request import RestoreOptions
from lowvision.imaging.image import Frames
from lowvision.inference.restorer import Restorer
from lowvision.system.printable import printable
from lowvision.system.progress import Progress

WRITERS = 2
"""Threads that encode and write results, and results that wait for them: encoding takes longer than reading."""


def outcomes(
    inputs: Sequence[Input], network: Restorer, options: RestoreOptions, progress: Progress
) -> Iterator[Outcome]:
    """Restore inputs and yield their outcomes in order.

    On a CPU, whose cores the network fills, reading, computing and writing follow one another. On an accelerator one
    file more is read and up to `WRITERS` results are written meanwhile, which stay in memory that long.
    """
    if network.device.type == "cpu":
        yield from (outcome_of(source, network, options, progress) for source in inputs)
        return
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(WRITERS) as writers:
        writing: deque[Future[Outcome]] = deque()
        try:
            for source, step in _read_ahead(inputs, network, options, reader):
                progress.begin(printable(source.names[0]))
                result = computed(source, step, network, options, progress) if isinstance(step, Frames) else step
                writing.append(writers.submit(_finished, source, result, options))
                while len(writing) > WRITERS:
                    yield _reported(writing.popleft(), network, options, progress)
            while writing:
                yield _reported(writing.popleft(), network, options, progress)
        finally:
            for future in writing:
                future.cancel()


def _read_ahead(
    inputs: Sequence[Input], network: Restorer, options: RestoreOptions, reader: ThreadPoolExecutor
) -> Iterator[tuple[Input, Frames | Skipped | Failed]]:
    """Yield the inputs with their frames; when one is yielded, the next is being read."""
    remaining = iter(inputs)
    reading = deque((source, reader.submit(opened, source, network, options)) for source in islice(remaining, 1))
    while reading:
        source, future = reading.popleft()
        step = future.result()
        reading.extend((after, reader.submit(opened, after, network, options)) for after in islice(remaining, 1))
        yield source, step


def _finished(source: Input, step: Computed | Skipped | Failed, options: RestoreOptions) -> Done | Skipped | Failed:
    return written(source, step, options) if isinstance(step, Computed) else step


def _reported(future: Future[Outcome], network: Restorer, options: RestoreOptions, progress: Progress) -> Outcome:
    outcome = future.result()
    progress.end(line_of(outcome, network, options))
    return outcome
