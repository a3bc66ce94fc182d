"""Claims about `lowvision restore --cluster`: workers that are killed lose no input and write no result twice.

The claim about `evaluate --cluster` on real workers is here, too: both use one cluster, which takes long to start.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from documents import without_seconds
from image_files import write_small_photographs

from lowvision.commands import cluster_setup, cluster_worker, evaluate_cluster, restore, restore_cluster
from lowvision.commands.cluster_worker import Job, Planned
from lowvision.commands.evaluate import evaluate
from lowvision.commands.evaluate_request import EvaluateRequest
from lowvision.commands.inputs import Input
from lowvision.commands.restore_outcomes import Done
from lowvision.commands.restore_request import RestoreOptions, RestoreRequest
from lowvision.errors import UsageError
from lowvision.plugins import registry
from lowvision.plugins.contracts import Dataset
from lowvision.plugins.folder_dataset import Folder
from lowvision.system import cluster, cores, locations

COUNT = 4
KILLS = """
import os, signal
from pathlib import Path

replace, folder = os.replace, Path(os.environ["TEST_CLUSTER"])

def kill_once(name):
    if not (folder / name).exists():
        (folder / name).touch()
        os.kill(os.getpid(), signal.SIGKILL)

def replace_or_die(source, target, **options):
    if str(target).startswith(os.environ["LOWVISION_CACHE"]) and str(target).endswith(".npy"):
        kill_once("killed while it prepared a photograph")
    if Path(target).parent != folder / "out":
        return replace(source, target, **options)
    if Path(target).name == "0.png":
        kill_once("killed")
    replace(source, target, **options)
    with open(folder / "written", "a") as file:
        file.write(Path(target).name + " ")

os.replace = replace_or_die
"""
"""Kills the worker of one input before its result gets its name; logs the results that get theirs.

Kills one worker that evaluates before it has decoded its photograph.
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    write_small_photographs(folder, COUNT)
    return folder


@pytest.fixture
def request_of(photographs: Path, weights_file: Path) -> Callable[..., RestoreRequest]:
    return functools.partial(
        RestoreRequest, patterns=(str(photographs),), weights=weights_file, device="cpu", runtime="torch"
    )


@pytest.fixture(scope="module")
def killing_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a cluster on this machine whose workers run KILLS; yield the folder of its variable TEST_CLUSTER."""
    pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(KILLS)
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cores, "usable", lambda: 2)
            patch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")]))
            patch.setenv("TEST_CLUSTER", str(folder))
            patch.setenv("LOWVISION_CACHE", str(folder / "cache"))  # empty: its workers decode each photograph
            stack.enter_context(cluster.connect("local"))
        yield folder


@pytest.mark.timeout(600)  # Ray starts seven processes, which takes minutes on a machine with other load
def test_two_workers_of_which_one_is_killed_restore_every_file_once(
    request_of: Callable[..., RestoreRequest], killing_cluster: Path, tmp_path: Path
) -> None:
    expected = restore.run(request_of(output=tmp_path / "expected"), registry.load())
    output = killing_cluster / "out"
    document = restore_cluster.run(request_of(output=output), registry.load(), "local", workers=2)
    assert (killing_cluster / "killed").exists()
    assert document["failed"] == []
    keys = ("input", "shares", "gmac", "height")
    assert [[image[key] for key in keys] for image in document["images"]] == [
        [image[key] for key in keys] for image in expected["images"]
    ]
    assert contents(output) == contents(tmp_path / "expected")
    assert sorted((killing_cluster / "written").read_text().split()) == sorted(contents(output))


@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_is_replaced_and_the_report_is_that_of_one_process(
    weights_file: Path, photographs: Path, killing_cluster: Path, tmp_path: Path
) -> None:
    sets: dict[str, Dataset] = {"photographs": Folder(path=str(photographs))}
    folders = tmp_path / "cluster", tmp_path / "one"
    request = EvaluateRequest(weights_file, (0.5,))
    document = evaluate_cluster.run(request, sets, registry.load(), folders[0], "cpu", "local", workers=1, threads=1)
    assert (killing_cluster / "killed while it prepared a photograph").exists()
    expected = evaluate(weights_file, sets, registry.load(), folders[1], "cpu", (0.5,))
    assert without_seconds(document) == without_seconds(expected)
    pictures = [{path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.png")} for folder in folders]
    assert len(pictures[0]) == 4 * 5
    assert pictures[0] == pictures[1]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder that is not hidden."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def job_of(request: RestoreRequest, marker: Path, example: Path) -> Job:
    weights = cluster_setup.contents_of(request.weights)
    return Job(request, weights, Path.cwd(), 1, marker, Input(example, request.output / example.name))


def test_a_result_that_a_dead_worker_wrote_is_reported_but_not_written_again(
    request_of: Callable[..., RestoreRequest], photographs: Path, tmp_path: Path
) -> None:
    request = request_of(output=tmp_path, options=RestoreOptions(skips_existing=True))
    work = job_of(request, photographs / "0.png", photographs / "0.png").build()
    source = Input(photographs / "0.png", tmp_path / "0.png")
    first = work(Planned(0, source, None))
    assert isinstance(first.outcome, Done)
    before = (tmp_path / "0.png").stat()
    again = work(Planned(0, source, None))
    assert isinstance(again.outcome, Done)
    assert again.outcome.tiles == first.outcome.tiles
    assert again.line.partition(",")[0] == first.line.partition(",")[0]
    assert (tmp_path / "0.png").stat() == before
    assert work(Planned(0, source, cluster_worker.stamp_of(source))).line.endswith("skipped, its result exists")


def test_a_worker_without_the_weights_of_the_command_uses_a_copy(
    request_of: Callable[..., RestoreRequest], photographs: Path, tmp_path: Path
) -> None:
    job = job_of(request_of(output=tmp_path), photographs / "0.png", photographs / "0.png")
    job = replace(job, request=replace(job.request, weights=tmp_path / "missing.safetensors"))
    job = replace(job, weights={"missing.safetensors": next(iter(job.weights.values()))})
    source = Input(photographs / "0.png", tmp_path / "0.png")
    assert isinstance(job.build()(Planned(0, source, None)).outcome, Done)


@pytest.mark.parametrize(
    ("marker", "example", "message"),
    [
        ("missing", "0.png", "worker on .*: does not see .* of this command; give a shared folder or a URL as -o"),
        ("0.png", "missing.png", "worker on .*: does not see .*missing.png; give a shared folder or a URL as input"),
    ],
)
def test_a_worker_on_another_file_system_says_so(
    marker: str,
    example: str,
    message: str,
    request_of: Callable[..., RestoreRequest],
    photographs: Path,
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match=message):
        job_of(request_of(output=tmp_path), photographs / marker, photographs / example).build()


def test_a_folder_that_a_worker_cannot_write_is_named_with_the_worker(
    request_of: Callable[..., RestoreRequest], photographs: Path
) -> None:
    request = request_of(output=photographs / "0.png" / "below")
    with pytest.raises(UsageError, match=r"worker on .*: .*below: cannot write there"):
        job_of(request, photographs / "0.png", photographs / "0.png").build()


def test_the_stamp_of_a_url_changes_when_its_file_is_replaced() -> None:
    system = pytest.importorskip("fsspec").filesystem("memory")
    source = Input(Path("a.png"), Path("a.png"), target=locations.find("memory://stamps/a.png"))
    system.pipe("/stamps/a.png", b"one")
    first = cluster_worker.stamp_of(source)
    system.pipe("/stamps/a.png", b"another")
    assert None not in (first, cluster_worker.stamp_of(source))
    assert first != cluster_worker.stamp_of(source)
    system.rm("/stamps", recursive=True)
    assert cluster_worker.stamp_of(source) is None
