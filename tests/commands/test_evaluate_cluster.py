"""Claims about `lowvision evaluate --cluster` without Ray; a real cluster is in test_restore_cluster.py."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from documents import without_seconds
from image_files import write_small_photographs

from lowvision.commands import cluster_setup, evaluate_cluster
from lowvision.commands.evaluate import evaluate
from lowvision.commands.evaluate_request import EvaluateRequest
from lowvision.commands.evaluate_worker import Job, Planned
from lowvision.data.listing import listed
from lowvision.errors import DataError, RunError, UsageError
from lowvision.imaging import io
from lowvision.plugins import registry
from lowvision.plugins.folder_dataset import Folder
from lowvision.system import cluster
from lowvision.system.cluster import Layout, Lost, Machine

COUNT = 5
KNOWN = registry.load()


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for n in range(COUNT):
        pixels = np.random.default_rng(n).integers(0, 256, (36, 36 + 2 * (n * 3 % COUNT), 3), np.uint8)
        io.write(folder / f"{n}.png", io.Image(pixels))
    return folder


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_weights(tmp_path_factory.mktemp("single") / "single.safetensors", tiny.architecture().only(0))


class PoolInThisProcess:
    """Workers that finish out of order; items, results and the job are pickled, as between machines."""

    lost = ""
    """Name of the photograph over which workers die."""
    order: tuple[str, ...] = ()
    """Names of the photographs in the order in which they were given to workers."""

    def __init__(self, ray: Any, build: Callable[[], Callable[[Any], Any]], layout: Layout):
        self._work = pickle.loads(pickle.dumps(build))()

    def results(self, items: Iterable[Planned]) -> Iterator[tuple[Planned, Any]]:
        given = [*items]
        type(self).order = tuple(item.listed.photo.name for item in given)
        for item in [*given[1::2], *given[::2]]:
            is_lost = item.listed.photo.name == self.lost
            yield item, Lost() if is_lost else pickle.loads(pickle.dumps(self._work(pickle.loads(pickle.dumps(item)))))


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> type[PoolInThisProcess]:
    """Replace Ray by workers in this process."""
    kind = type("Pool", (PoolInThisProcess,), {})
    monkeypatch.setattr(cluster, "check", lambda address: None)
    monkeypatch.setattr(cluster, "connect", lambda address: nullcontext())
    monkeypatch.setattr(cluster, "machines", lambda ray: [Machine(1)])
    monkeypatch.setattr(cluster, "Pool", kind)
    return kind


def run(request: EvaluateRequest, sets: dict[str, Folder], output: Path | None = None) -> dict[str, Any]:
    return evaluate_cluster.run(request, dict(sets), KNOWN, output, "cpu", "local")


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the names and contents of the pictures of a report."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def test_document_and_pictures_are_those_of_one_process(
    pool: type[PoolInThisProcess], weights_file: Path, photographs: Path, tmp_path: Path
) -> None:
    sets = {"a": Folder(path=str(photographs)), "b": Folder(path=str(photographs), only=("1", "4"))}
    fit_on, task = Folder(path=str(photographs), only=("0", "2")), tiny.architecture().task
    document = run(EvaluateRequest(weights_file, (0.5,), fit_on, task, "paper"), sets, tmp_path / "cluster")
    expected = evaluate(weights_file, sets, KNOWN, tmp_path / "one", "cpu", (0.5,), fit_on, task, "paper")
    assert [image["name"] for image in document["sets"][0]["images"]] == ["0", "1", "2", "3", "4"]
    assert {"edge_table", "high_frequency"} <= set(document["classifiers"])
    assert without_seconds(document) == without_seconds(expected)
    assert list(document) == list(expected)
    pictures = files_of(tmp_path / "cluster")
    assert len(pictures) == (4 + 2) * 5
    assert pictures == files_of(tmp_path / "one")
    assert (tmp_path / "cluster" / "report.html").is_file()


def test_photographs_at_several_sizes_are_numbered_as_in_one_process(
    pool: type[PoolInThisProcess], single: Path, photographs: Path
) -> None:
    sets = {"a": Folder(path=str(photographs), scales=(1.0, 0.8), only=("0", "1"))}
    document = run(EvaluateRequest(single), sets)
    expected = evaluate(single, sets, KNOWN, None, "cpu", prints=False)
    assert [image["name"] for image in document["sets"][0]["images"]] == ["0", "0@0.8", "1", "1@0.8"]
    assert without_seconds(document) == without_seconds(expected)


def test_the_largest_files_are_given_to_workers_first(
    pool: type[PoolInThisProcess], single: Path, photographs: Path
) -> None:
    run(EvaluateRequest(single), {"a": Folder(path=str(photographs))})
    sizes = {path.stem: path.stat().st_size for path in photographs.iterdir()}
    assert [sizes[name] for name in pool.order] == sorted(sizes.values(), reverse=True)


def test_a_photograph_over_which_workers_died_is_named(
    pool: type[PoolInThisProcess], single: Path, photographs: Path
) -> None:
    pool.lost = "3"
    with pytest.raises(RunError, match=r"photographs.*/3\.png: 3 workers died over it.*; use fewer --processes"):
        run(EvaluateRequest(single), {"a": Folder(path=str(photographs))})


def test_a_damaged_photograph_is_the_error_of_the_command(
    pool: type[PoolInThisProcess], single: Path, tmp_path: Path
) -> None:
    write_small_photographs(tmp_path, 2)
    (tmp_path / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png"):
        run(EvaluateRequest(single), {"a": Folder(path=str(tmp_path))})


def test_weights_and_arguments_are_checked_before_a_cluster_is_connected(
    pool: type[PoolInThisProcess], single: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "connect", lambda address: pytest.fail("connected"))
    with pytest.raises(UsageError, match="is a single network without routing"):
        run(EvaluateRequest(single, (0.5,)), {"a": Folder(path=str(photographs))})


def test_a_worker_that_does_not_see_a_photograph_says_so(single: Path, photographs: Path, tmp_path: Path) -> None:
    write_small_photographs(tmp_path, 1)
    (example,) = listed(Folder(path=str(tmp_path)))
    weights = cluster_setup.contents_of(single)
    job = Job(EvaluateRequest(single, metrics={}), "cpu", weights, Path.cwd(), 1, 0, example)
    work = job.build()
    (tmp_path / "0.png").unlink()
    message = r"worker on .*: does not see .*0\.png; put the photographs into a folder that all machines share"
    error = work(Planned("a", 0, example))
    assert isinstance(error, UsageError)
    with pytest.raises(UsageError, match=message):
        raise error
    with pytest.raises(UsageError, match=message):
        job.build()
