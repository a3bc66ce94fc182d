"""A recipe runs from its first stage to its report, in one or several processes, or reports what prevents it."""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path

import pytest
import tiny
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from lowvision.errors import RecipeError, RunError, TrainingError, UsageError
from lowvision.models import weights
from lowvision.pipeline import run_folder
from lowvision.pipeline.stages.job import Job
from lowvision.plugins import registry
from lowvision.recipe import reading
from lowvision.routing.container import branch_prefix
from lowvision.training.log import Log, read_metrics

pytestmark = pytest.mark.timeout(900)  # runs in several processes: a loaded machine takes minutes

FOLDER = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return tiny.write_recipe(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def folder(recipe) -> Path:
    finished_run = recipe.parent / "alone"
    assert tiny.in_a_child(tiny.run, recipe, finished_run) == 0
    return finished_run


def test_the_run_folder_contains_recipe_weights_metrics_and_report(folder):
    names = {path.name for path in folder.iterdir()}
    stages = {"base", "rank", "branches", "classifier", "joint", "evaluate"}
    files = {"recipe.yml", "recipe.resolved.yml", "environment.json", "log.txt", "metrics.jsonl"}
    assert stages | files | {"report.json", "report.txt", "report.html"} <= names
    assert json.loads((folder / "environment.json").read_text())["torch"] == torch.__version__.split("+")[0]


def test_the_report_has_protocol_cost_and_seconds_of_every_row(folder):
    report = json.loads((folder / "report.json").read_text())
    assert report["schema"] == 2
    assert report["task"] == {"sr": {"scale": 2, "channels": 3}}
    (measured,) = report["sets"]
    rows = ["input", "base_whole", "base_tiled", "routed", "random", "branch_0", "branch_1", "branch_2"]
    assert list(measured["mean"]) == rows
    for image in measured["images"]:
        assert {"name", "height", "width", *rows} == set(image)
        for row in rows:
            assert {"psnr_rgb@crop2", "psnr_y@crop2", "ssim_y@crop2"} <= set(image[row])
        for row in rows[1:]:
            assert image[row]["seconds"] > 0
            assert image[row]["share_of_base_whole"] > 0
        assert image["base_tiled"]["share_of_base_tiled"] == 1
        assert sum(image["routed"]["shares"]) == pytest.approx(1)
        costs = [image[f"branch_{k}"]["gmac"] for k in range(3)]
        assert costs == sorted(costs)
        assert image["branch_2"]["gmac"] == image["base_tiled"]["gmac"]


def test_metrics_contain_losses_shares_entropy_and_rate(folder):
    joint = [entry for entry in read_metrics(folder) if entry["stage"] == "joint" and "loss" in entry]
    assert [entry["step"] for entry in joint] == [2, 4]
    assert {"image", "class", "average", "shares", "entropy", "lr", "data_share"} <= set(joint[0])
    assert joint[0]["loss"] == pytest.approx(joint[0]["image"] + joint[0]["class"] + joint[0]["average"], rel=1e-5)
    assert [e["step"] for e in read_metrics(folder) if "valid_psnr" in e and e["stage"] == "base"] == [3, 6]


@pytest.fixture(scope="module")
def run_with_own_lengths(recipe) -> Path:
    finished_run = recipe.parent / "of-own-lengths"
    overrides = ("stages.branches={steps_each: [3, 2, 1], tile: 24}", "stages.joint=null")
    assert tiny.in_a_child(tiny.run, recipe, finished_run, *overrides) == 0
    return finished_run


def test_every_branch_starts_from_the_base_or_the_slices_of_it_that_its_reducer_inherits(recipe, tmp_path):
    still = "stages.branches={own_class: 0, steps_each: [0, 0, 0]}"
    rest = [f"stages.{stage}=null" for stage in ("rank", "classifier", "joint", "evaluate")]
    assert tiny.in_a_child(tiny.run, recipe, tmp_path / "run", still, *rest) == 0
    read = reading.read(recipe, registry.load(), [])
    larger = read.architecture.only(-1).build_network()
    larger.load_state_dict(load_file(tmp_path / "run" / "base" / "last.safetensors"))
    for k in (2, 1, 0):
        expected = larger
        for step in read.branches[k].reduced:
            expected = read.branches[k].backbone.build(read.task)
            assert step.reducer.inherit(larger, expected)
        started = load_file(tmp_path / "run" / "branches" / str(k) / "last.safetensors")
        for name, tensor in expected.state_dict().items():
            assert torch.equal(started[name], tensor), (k, name)


def test_each_branch_trains_for_its_own_number_of_steps(run_with_own_lengths):
    metrics = [entry for entry in read_metrics(run_with_own_lengths) if "loss" in entry]
    reached = [max(m["step"] for m in metrics if m["stage"] == f"branches/{k}") for k in range(3)]
    assert reached == [3, 2, 1]


def test_finished_stages_are_skipped_when_the_recipe_runs_again(recipe, folder):
    before = (folder / "joint" / "last.safetensors").stat().st_mtime_ns
    assert tiny.in_a_child(tiny.run, recipe, folder) == 0
    assert (folder / "joint" / "last.safetensors").stat().st_mtime_ns == before
    log = (folder / "log.txt").read_text()
    assert "joint: already finished" in log
    assert f"weights: {folder / 'joint' / 'last.safetensors'}" in log
    assert f"report: {folder / 'report.html'}" in log


def test_a_run_folder_of_another_recipe_is_refused_with_remedies(recipe, folder):
    with pytest.raises(RunError, match=r"another recipe \(differs in seed\); --name .* --restart"):
        tiny.run(recipe, folder, "seed=1")


def test_the_file_list_contains_every_file_of_the_run(folder):
    listed = {json.loads(line) for line in (folder / "files.jsonl").read_text().splitlines()}
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"run.lock"}
    checkpoints = tuple(name for name in listed if name.endswith("/"))
    assert sorted({name for name in files if not name.startswith(checkpoints)} - listed) == []


def test_restart_removes_results_and_keeps_user_files(recipe, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    alone = [f"stages.{stage}=null" for stage in ("rank", "branches", "classifier", "joint", "evaluate")]
    assert tiny.in_a_child(tiny.run, recipe, folder, *alone) == 0
    (folder / "base" / "notes.txt").write_text("mine")
    before = (folder / "base" / "last.safetensors").stat().st_mtime_ns
    assert tiny.in_a_child(restart, recipe, folder, "seed=1", *alone) == 0
    assert (folder / "base" / "notes.txt").read_text() == "mine"
    assert (folder / "base" / "last.safetensors").stat().st_mtime_ns > before
    assert "already finished" not in (folder / "log.txt").read_text()


def restart(recipe: Path, folder: Path, *overrides: str) -> None:
    tiny.run(recipe, folder, *overrides, restart=True)


def test_a_second_concurrent_run_in_one_folder_is_refused(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "SECONDS_TO_WAIT", 0.1)
    with run_folder.locked(tmp_path / "run"):
        assert tiny.in_a_child(run_into, RunError, "another process runs", recipe, tmp_path / "run") == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} <= {"run.lock"}


def test_evaluate_measures_the_weights_of_a_run_again(recipe, folder, tmp_path):
    from lowvision.commands.evaluate import evaluate
    from lowvision.plugins.folder_dataset import Folder

    known = registry.load()
    sets = {"seen": Folder(path=str(recipe.parent / "photos" / "valid"))}
    document = evaluate(folder / "joint" / "last.safetensors", sets, known, tmp_path / "out", "cpu")
    first = json.loads((folder / "report.json").read_text())["sets"][0]["mean"]
    again = document["sets"][0]["mean"]
    assert again["routed"]["psnr_y@crop2"] == pytest.approx(first["routed"]["psnr_y@crop2"], abs=1e-6)
    assert again["routed"]["gmac"] == first["routed"]["gmac"]
    assert (tmp_path / "out" / "report.html").exists()


def test_a_single_network_can_be_evaluated_and_shows_no_earlier_pictures(recipe, folder, tmp_path):
    from lowvision.commands.evaluate import evaluate
    from lowvision.plugins.folder_dataset import Folder

    sets = {"seen": Folder(path=str(recipe.parent / "photos" / "valid"))}
    earlier = tmp_path / "pictures" / "seen" / "seen" / "map.png"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"")
    document = evaluate(folder / "base" / "last.safetensors", sets, registry.load(), tmp_path, "cpu")
    assert list(document["sets"][0]["mean"]) == ["input", "base_whole", "base_tiled"]
    shown = {path.name for path in earlier.parent.iterdir()}
    assert shown == {"input.png", "base_whole.png", "gt.png"}


def test_a_report_does_not_replace_an_existing_file(recipe, folder, tmp_path):
    from lowvision.commands.evaluate import evaluate
    from lowvision.plugins.folder_dataset import Folder

    (tmp_path / "report").touch()
    sets = {"seen": Folder(path=str(recipe.parent / "photos" / "valid"))}
    with pytest.raises(UsageError, match=r"cannot create the folder: .*; give another -o"):
        evaluate(folder / "base" / "last.safetensors", sets, registry.load(), tmp_path / "report", "cpu")


@pytest.mark.parametrize(
    ("omitted", "overrides"),
    [
        (("rank", "branches"), ("stages.classifier.ranked_steps=0",)),
        (("classifier",), ()),
        (("rank", "branches", "classifier", "joint"), ()),
    ],
    ids=["no branches", "no classifier", "base only"],
)
def test_omitted_stages_do_not_run_and_the_others_are_evaluated(recipe, omitted, overrides, tmp_path):
    run = tmp_path / "run"
    removed = [f"stages.{stage}=null" for stage in omitted]
    assert tiny.in_a_child(tiny.run, recipe, run, *removed, *overrides) == 0
    stages = {"base", "rank", "branches", "classifier", "joint", "evaluate"}
    assert {path.parent.name for path in run.glob("*/done.json")} == stages - set(omitted)
    (measured,) = json.loads((run / "report.json").read_text())["sets"]
    assert ("routed" in measured["mean"]) == ("joint" not in omitted)
    assert measured["mean"]["base_whole"]["psnr_y@crop2"] > 10


def test_init_loads_the_weights_of_another_run(recipe, folder, tmp_path):
    base, container = folder / "base" / "last.safetensors", folder / "classifier" / "last.safetensors"
    left_out = ("stages.base=null", "stages.rank=null", "stages.branches=null", "stages.classifier=null")
    assert tiny.in_a_child(tiny.run, recipe, tmp_path / "a", *left_out, f"stages.joint.start={container}") == 0
    again, first = (load_file(f / "joint" / "last.safetensors") for f in (tmp_path / "a", folder))
    assert all(torch.equal(again[name], first[name]) for name in first)
    begun = ("stages.base=null", f"stages.rank.weights={base}")
    assert tiny.in_a_child(tiny.run, recipe, tmp_path / "b", *begun) == 0


def test_init_loads_base_and_branches_from_a_container(recipe, folder, tmp_path):
    container = folder / "joint" / "last.safetensors"
    still = [f"stages.{stage}={{start: {container}, steps: 1, batch: 4, lr: 1e-9}}" for stage in ("base", "branches")]
    rest = [f"stages.{stage}=null" for stage in ("classifier", "joint", "evaluate")]
    assert tiny.in_a_child(tiny.run, recipe, tmp_path / "run", *still, *rest) == 0
    theirs = load_file(container)
    for k, stage in (0, "branches/0"), (1, "branches/1"), (2, "branches/2"), (2, "base"):
        own = load_file(tmp_path / "run" / stage / "last.safetensors")
        assert own
        for name, tensor in own.items():
            assert torch.allclose(tensor, theirs[branch_prefix(k) + name], atol=1e-7), (stage, name)


def test_init_accepts_the_name_of_shipped_weights(recipe, tmp_path):
    for stage in ("branches", "joint"):
        with pytest.raises(RecipeError, match=rf"stages.{stage}.start: .*did you mean 'sr-carn-x4'"):
            tiny.run(recipe, tmp_path / "run", f"stages.{stage}.start=sr-carn-x5")
    shipped = FOLDER / "sr_finetune.yml"
    job = Job(
        reading.read(shipped, registry.load()), registry.load(), Accelerator(cpu=True), tmp_path, Log(tmp_path, False)
    )
    assert weights.load_container(job.weights_path("sr-carn-x4"), job.architecture, job.registry)


def test_weights_of_another_architecture_are_refused_before_writing(recipe, folder, tmp_path):
    other = folder / "branches" / "0" / "last.safetensors"
    with pytest.raises(RecipeError, match=r"stages\.base\.start: .*channels=4, .*needed is .*channels=12, "):
        tiny.run(recipe, tmp_path / "run", f"stages.base.start={other}")
    assert not (tmp_path / "run").exists()


def test_a_recipe_with_one_branch_runs(recipe, tmp_path):
    overrides = ("reduce=null", "stages.rank=null", "stages.branches=null", "stages.classifier.ranked_steps=0")
    assert tiny.in_a_child(tiny.run, recipe, tmp_path / "run", *overrides) == 0


def run_into(error: type[Exception], message: str, recipe: Path, folder: Path, *overrides: str) -> None:
    with pytest.raises(error, match=message):
        tiny.run(recipe, folder, *overrides)


def test_a_non_finite_loss_stops_the_run_and_keeps_the_last_good_checkpoint(recipe, tmp_path):
    wild = ("stages.base.lr=1e30", "stages.base.checkpoint_every=1", "stages.base.steps=40")
    assert tiny.in_a_child(run_into, TrainingError, "not finite", recipe, tmp_path / "run", *wild) == 0
    assert list((tmp_path / "run" / "base" / "checkpoints").glob("step-*"))


@pytest.mark.parametrize(("lr", "message"), [("1e-14", True), ("2e-3", False)])
def test_an_untrained_base_is_reported(recipe, tmp_path, lr, message):
    """Train with steps too small to have an effect, so that the network stays at its skip."""
    alone = tuple(f"stages.{stage}=null" for stage in ("rank", "branches", "classifier", "joint", "evaluate"))
    run = tmp_path / "run"
    seldom = ("checkpoint_every", "valid_every", "log_every")  # once, at the end
    alone += ("stages.base.steps=400", *(f"stages.base.{option}=400" for option in seldom))
    assert tiny.in_a_child(tiny.run, recipe, run, f"stages.base.lr={lr}", *alone) == 0
    warning = r"base: on data.valid only [+-]0.0\d dB against the input.* or correct the initial weights"
    match = re.search(warning, (run / "log.txt").read_text())
    assert bool(match) == message


def test_collapse_to_one_branch_is_reported_with_advice(recipe, tmp_path):
    one_sided = (
        "stages.classifier.steps=60",
        "stages.classifier.lr=0.05",
        "stages.classifier.average_weight=0",
        "stages.classifier.class_weight=100",
    )
    message = r"collapsed.*branches are trained"
    assert tiny.in_a_child(run_into, TrainingError, message, recipe, tmp_path / "run", *one_sided) == 0


def test_an_unwritable_folder_is_reported(recipe, tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunError, match="cannot be written"):
        tiny.run(recipe, tmp_path / "runs" / "x")


def run_on_a_full_disk(recipe: Path, folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))  # no file may grow beyond this
    message = r"checkpoint cannot be written|File too large"
    run_into(RunError, message, recipe, folder, "backbone.fsrcnn.channels=56", "reduce.channels=[16, 36, 56]")


def test_a_full_disk_is_reported_and_complete_files_stay_complete(recipe, tmp_path):
    assert tiny.in_a_child(run_on_a_full_disk, recipe, tmp_path / "run") == 0
    assert not list((tmp_path / "run").rglob("step-*"))
    assert not (tmp_path / "run" / "base" / "last.safetensors").exists()


def test_unknown_devices_and_too_many_processes_are_reported():
    from lowvision.system import devices

    with pytest.raises(RunError, match="no device 'gpu'"):
        devices.choose("gpu")
    with pytest.raises(RunError, match="--processes 999"):
        devices.check_processes(999, "cpu")


def test_two_processes_train_the_same_weights_as_one(recipe, folder):
    pair = recipe.parent / "pair"
    assert tiny.in_two_processes(tiny.run, recipe, pair, "stages.calibrate={points: 4}") == [0, 0]
    for end in ("base/last", "branches/1/last", "classifier/last", "joint/last"):
        together, alone = load_file(pair / f"{end}.safetensors"), load_file(folder / f"{end}.safetensors")
        for name in alone:
            off = (together[name] - alone[name]).abs()
            # Where a gradient is nothing but rounding, Adam makes a step of it: of a few values, a part of one step.
            assert off.max() < 2e-4, (end, name)
            assert (off > 2e-5 + 1e-3 * alone[name].abs()).float().mean() < 0.01, (end, name)
    header = weights.read_header(pair / "calibrate" / "container.safetensors", registry.load())
    assert len(header.measured["curve/k"]) == 4  # measured by one of them: there is one photograph
    shares = [json.loads((f / "report.json").read_text())["sets"][0]["mean"]["routed"]["gmac"] for f in (pair, folder)]
    assert shares[0] == pytest.approx(shares[1], rel=0.2)


def write_pixel_recipe(photos: Path, path: Path, rest: str) -> Path:
    """Write a recipe with task, tile and data, and the text `rest`."""
    data = f"tile: {{size: 16, overlap: 4}}\ndata: {{train: {photos}/train, workers: 0}}\n"
    path.write_text("task: {sr: {scale: 2}}\n" + data + rest)
    return path


def test_two_processes_train_a_network_whose_parts_train_in_turn(recipe, tmp_path):
    alone = write_pixel_recipe(
        recipe.parent / "photos",
        tmp_path / "pixel.yml",
        "branches: [{pixel: {channels: 4, shrink: 4, layers: 1, heavy: [4], light: [2], heavy_until: 0.5}}]\n"
        "stages: {base: {steps: 6, batch: 4, lr: 1e-2, checkpoint_every: 3}, evaluate: null}\n",
    )
    assert tiny.in_two_processes(tiny.run, alone, tmp_path / "pair") == [0, 0]
    fresh = reading.read(alone, registry.load())
    torch.manual_seed(fresh.seed)
    before = fresh.architecture.build_network().state_dict()
    after = load_file(tmp_path / "pair" / "base" / "last.safetensors")
    for part in ("heavy", "light"):  # one rests in the first half of the stage, the other in the second
        assert not torch.equal(after[f"{part}.rest.1.weight"], before[f"{part}.rest.1.weight"])


def test_two_processes_train_a_container_with_parameters_outside_its_graph(recipe, tmp_path):
    mixed = write_pixel_recipe(
        recipe.parent / "photos",
        tmp_path / "mixed.yml",
        "classifier: class_module\nbranches:\n"
        "- pixel: {channels: 4, shrink: 4, layers: 1, heavy: [4], light: [2]}\n"
        "- fsrcnn: {channels: 4, shrink: 4, layers: 1}\n"
        "stages: {joint: {steps: 3, batch: 4, checkpoint_every: 3}, evaluate: null}\n",
    )
    assert tiny.in_two_processes(tiny.run, mixed, tmp_path / "pair") == [0, 0]


def test_fewer_tiles_than_branches_cannot_be_ranked(recipe, tmp_path):
    with pytest.raises(
        RunError, match=r"stages.rank: 2 tiles cannot be sorted into 3 classes; raise limit, or add data"
    ):
        tiny.run(recipe, tmp_path / "few", "stages.rank.limit=2", "stages.base.steps=1")


def test_weights_of_a_run_rebuild_without_the_recipe(folder):
    known = registry.load()
    header = weights.read_header(folder / "joint" / "best.safetensors", known)
    assert len(header.architecture.branches) == 3
    assert header.measured["psnr"] > 10
