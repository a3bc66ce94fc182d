"""Implement `lowvision evaluate --cluster`: measure photographs on the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lowvision import report
from lowvision.commands import cluster_setup
from lowvision.commands.evaluate import SHOWN, report_folder, titled
from lowvision.commands.evaluate_request import EvaluateRequest
from lowvision.commands.evaluate_worker import Answer, Job, Planned
from lowvision.data.listing import Listed, listed
from lowvision.errors import LowvisionError, RunError
from lowvision.evaluation.build import descriptions
from lowvision.evaluation.results import ImageResult, document, record
from lowvision.plugins.contracts import Dataset, Task
from lowvision.plugins.registry import Registry
from lowvision.system import cluster
from lowvision.training.log import Log


def run(
    request: EvaluateRequest,
    sets: Mapping[str, Dataset],
    registry: Registry,
    output: Path | None,
    device: str,
    address: str,
    workers: int | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Measure on the workers of a cluster; return and write what `evaluate` does, apart from seconds.

    workers: number of workers; threads: cores of each; None: chosen for the cluster. Workers return the pictures, so
    only this machine writes to `output`. Raises LowvisionError at the first photograph that cannot be measured.
    """
    cluster.check(address)
    task, has_container = _task_of(request, registry)
    planned = [*_planned(sets)]
    with report_folder(output) as folder:
        pictures, shown = folder / "pictures", SHOWN if output else 0
        with cluster.connect(address) as ray:
            layout = cluster.arrange(cluster.machines(ray), device, workers, threads)
            contents = cluster_setup.contents_of(request.weights)
            job = Job(request, device, contents, Path.cwd(), layout.cores, shown, planned[0].listed)
            rows = _rows(cluster.Pool(ray, job.build, layout), planned, pictures, Log(folder, True))
        compared = descriptions(registry) if request.fit_on and has_container else {}
        in_order = {name: [row for _, row in sorted(rows[name].items())] for name in sets}
        results = document(task, request.protocol, request.metrics, compared, in_order)
        complete = titled(results, task, registry)
        if output:
            report.write(folder, complete, [], pictures)
    return complete


def _task_of(request: EvaluateRequest, registry: Registry) -> tuple[Task, bool]:
    """Load the weights, for their errors; return the task, and True if they are a container."""
    loaded = request.load(registry)
    return loaded.architecture.task, loaded.container is not None


def _planned(sets: Mapping[str, Dataset]) -> Iterator[Planned]:
    """List the photographs of all sets. Raises DataError."""
    for name, dataset in sets.items():
        number = 0
        for each in listed(dataset):
            yield Planned(name, number, each)
            number += len(each.dataset.scales)


def _rows(
    pool: cluster.Pool[Planned], planned: Sequence[Planned], pictures: Path, log: Log
) -> dict[str, dict[int, Any]]:
    """Measure the photographs, the largest first, and return their rows by set and number."""
    rows: dict[str, dict[int, Any]] = {item.set_name: {} for item in planned}
    finished, count = 0, sum(len(item.listed.dataset.scales) for item in planned)
    # Closed at once: after an error the workers must end before the connection does.
    with closing(pool.results(sorted(planned, key=lambda item: -_bytes(item.listed)))) as results:
        for item, result in results:
            for number, each in enumerate(_measured(item, result), item.number):
                finished += 1
                record(each, pictures / item.set_name, log, finished, count)
                rows[item.set_name][number] = each.row
    return rows


def _measured(item: Planned, result: Answer | cluster.Lost) -> tuple[ImageResult, ...]:
    """Return the results of a photograph. Raises the error of its worker, and RunError if its workers died."""
    if isinstance(result, LowvisionError):
        raise result
    if isinstance(result, cluster.Lost):
        path = next(iter(item.listed.files), item.listed.photo.name)
        raise RunError(
            f"{path}: {cluster.ATTEMPTS} workers died over it, e.g. because memory ran out; "
            "use fewer --processes, or remove it from the folder"
        )
    return result


def _bytes(photograph: Listed) -> int:
    """Return the size of the files of a photograph, for the order of work: no image is decoded for it."""
    return sum(path.stat().st_size for path in photograph.files if path.is_file())
