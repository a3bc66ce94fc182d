"""Implement `lowvision restore --cluster`: restore files on the machines of a Ray cluster."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from lowvision.commands import cluster_setup, restore
from lowvision.commands.cluster_worker import Answer, Job, Planned, stamp_of
from lowvision.commands.inputs import Input
from lowvision.commands.restore_outcomes import Failed, Outcome, document
from lowvision.commands.restore_request import RestoreRequest
from lowvision.errors import UsageError, message_of
from lowvision.plugins.registry import Registry
from lowvision.system import atomic, cluster
from lowvision.system.locations import Location
from lowvision.system.printable import printable
from lowvision.system.progress import telling

LOST = f"{cluster.ATTEMPTS} workers died over it, e.g. because memory ran out; restore it with fewer --processes"


def run(
    request: RestoreRequest, registry: Registry, address: str, workers: int | None = None, threads: int | None = None
) -> dict[str, Any]:
    """Restore the inputs on the workers of a cluster and return the document.

    workers: number of workers; threads: cores of each; None: chosen for the cluster.
    Raises UsageError, WeightsError and RunError before the first input; later failures are in the document.
    """
    began = time.perf_counter()
    cluster.check(address)
    task = restore.read_task(request.weights, registry)
    ignored: Counter[str] = Counter()
    inputs = request.plan(ignored)
    if request.remote_output is None:
        restore.check_writable(request.output)
    with cluster.connect(address) as ray, _marker(request, inputs[0]) as marker:
        layout = cluster.arrange(cluster.machines(ray), request.device, workers, threads)
        job = Job(request, cluster_setup.contents_of(request.weights), Path.cwd(), layout.cores, marker, inputs[0])
        outcomes = _outcomes(inputs, cluster.Pool(ray, job.build, layout))
    result = document(outcomes, task, registry, request.options, time.perf_counter() - began)
    result["ignored"] = dict(ignored.most_common())
    return result


def _outcomes(inputs: Sequence[Input], pool: cluster.Pool[Planned]) -> list[Outcome]:
    """Restore the inputs and return their outcomes in the order of the inputs."""
    outcomes: dict[int, Outcome] = {}
    planned = (Planned(number, source, stamp_of(source)) for number, source in enumerate(inputs))
    # Closed at once: after an error or Ctrl-C the workers must end before the connection does.
    with telling(len(inputs), True) as progress, closing(pool.results(planned)) as results:
        for item, result in results:
            answer = _lost(item.source) if isinstance(result, cluster.Lost) else result
            outcomes[item.number] = answer.outcome
            progress.end(answer.line)
    return [outcomes[number] for number in sorted(outcomes)]


def _lost(source: Input) -> Answer:
    return Answer(Failed(source, LOST), f"{printable(source.names[0])}: failed: {LOST}")


@contextmanager
def _marker(request: RestoreRequest, first: Input) -> Iterator[Path | Location]:
    """Yield a file among the results, which workers look for to check their output folder; remove it after."""
    if first.target is not None:
        location = first.target.sibling(f".lowvision-{uuid.uuid4().hex}")
        _store_empty(location)
        try:
            yield location
        finally:
            location.remove()
        return
    path = atomic.temporary_beside(restore.folder_of(request.output).absolute() / "cluster")
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _store_empty(location: Location) -> None:
    """Write an empty file. Raises UsageError."""
    with tempfile.NamedTemporaryFile(prefix="lowvision-") as empty:
        try:
            location.store(Path(empty.name))
        except Exception as error:  # a file system can raise anything
            raise UsageError(f"{location}: cannot write there: {message_of(error)[:300]}; give another -o") from None
