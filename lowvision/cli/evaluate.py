"""`lowvision evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson, Device, WeightsFile
from lowvision.cli.processes import is_main_process, run_in_processes, set_threads
from lowvision.cli.restore_parameters import Threads

if TYPE_CHECKING:
    from lowvision.plugins.contracts import Dataset
    from lowvision.plugins.metrics import Metric
    from lowvision.plugins.registry import Registry


def evaluate(
    weights: WeightsFile,
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTOS...",
            help="Folders of ground truth, or of pairs, e.g. with subfolders gt/ and lq/; or data sets as in a recipe, "
            "e.g. samples_test or '{zip: {path: photos.zip}}'.",
        ),
    ],
    downscale: Annotated[float, typer.Option(min=1, help="Factor by which photographs are shrunk first.")] = 1.0,
    longer_side: Annotated[
        int | None, typer.Option(min=1, help="Maximum longer side in pixels; larger photographs are shrunk first.")
    ] = None,
    budget: Annotated[
        list[float] | None,
        typer.Option(help="Also measure routing within this share of the base's cost, e.g. 0.6; repeatable."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="PHOTOS",
            help="Compare with classifiers that need no training, fitted on this folder or data set.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            help="Task to measure, of the same scale, e.g. '{denoise: {sigma: 15}}'. Default: the trained task.",
        ),
    ] = None,
    protocol: Annotated[
        Literal["basicsr", "paper"],
        typer.Option(
            help="Luma of grey files if the network restores RGB: basicsr converts them first, paper uses grey values."
        ),
    ] = "basicsr",
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC", help="Measure by this metric, e.g. ms_ssim; repeatable. Default: psnr and ssim."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the report and its pictures. Default: none.")
    ] = None,
    no_gt: Annotated[
        bool,
        typer.Option(
            "--no-gt", help="The folders hold degraded images only; give a --metric without a reference, e.g. noise."
        ),
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes that share the photographs. Default: 1.", show_default=False),
    ] = None,
    threads: Threads = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Share the photographs among the workers of a Ray cluster: local, or ray://HOST:PORT. --processes is "
            "then the number of workers, by default one per GPU or machine, --threads the cores of each.",
        ),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure quality, exact cost and time of a weights file on photographs, compared with its base network."""
    from lowvision import report
    from lowvision.commands import tasks
    from lowvision.commands.evaluate import evaluate
    from lowvision.commands.evaluate_request import EvaluateRequest
    from lowvision.inference.limits import check_budget
    from lowvision.models import pretrained
    from lowvision.plugins import registry

    components = registry.load()
    path = pretrained.find(weights, components)
    datasets = {
        name: _measured(folder, downscale, longer_side, not no_gt, components)
        for name, folder in _names(folders).items()
    }
    budgets = tuple(dict.fromkeys(budget or ()))
    for share in budgets:
        check_budget(share)
    fit_on = _dataset(compare, downscale, longer_side, components) if compare else None
    other_task = tasks.parse_task(task, components) if task else None
    metrics = _metrics(metric, components)
    if cluster:
        from lowvision.commands import evaluate_cluster

        request = EvaluateRequest(path, budgets, fit_on, other_task, protocol, metrics)
        document = evaluate_cluster.run(request, datasets, components, output, device, cluster, processes, threads)
    elif processes and processes > 1:
        raise typer.Exit(run_in_processes(processes, device))
    else:
        set_threads(threads)
        document = evaluate(path, datasets, components, output, device, budgets, fit_on, other_task, protocol, metrics)
    if is_main_process():
        print_document(document, as_json, report.text)


def _metrics(texts: list[str] | None, registry: Registry) -> dict[str, Metric]:
    """Return metrics written as in a recipe, by name; psnr and ssim if there are none. Raises UsageError."""
    from lowvision.commands.component_argument import parse_component
    from lowvision.pipeline.core_stages import Evaluate

    if not texts:
        return Evaluate().named_metrics(registry)
    chosen = tuple(parse_component("metrics", text, "--metric", registry) for text in texts)
    return Evaluate(metrics=chosen).named_metrics(registry)


def _measured(text: str, downscale: float, longer_side: int | None, has_gt: bool, registry: Registry) -> Dataset:
    """Return the data set of this name, unless there is a folder of this name, or the folder. Raises UsageError.

    A mapping is a data set with options, as in a recipe.
    """
    from lowvision.commands.component_argument import choose_component, parse_component
    from lowvision.errors import UsageError
    from lowvision.plugins.folder_dataset import Folder

    dataset: Dataset
    if _is_mapping(text):
        if (downscale, longer_side, has_gt) != (1, None, True):
            raise UsageError(f"--downscale, --longer-side and --no-gt are for folders; give them as options of {text}")
        dataset = parse_component("datasets", text, "PHOTOS", registry)
        return dataset
    if Path(text).exists() or text not in registry["datasets"]:
        return Folder(path=text, downscale=downscale, longer_side=longer_side, has_gt=has_gt)
    if not has_gt:
        raise UsageError(f"--no-gt: '{text}' is a data set, not a folder of degraded images; give a folder")
    sizes = {"downscale": downscale, "longer_side": longer_side}
    dataset = choose_component("datasets", {text: sizes}, text, registry)
    return dataset


def _dataset(text: str, downscale: float, longer_side: int | None, registry: Registry) -> Dataset:
    """Parse a data set written as in a recipe; any other text is a folder, shrunk like the evaluated ones.

    Raises UsageError.
    """
    from lowvision.commands.component_argument import choose_component
    from lowvision.config import yaml_reader
    from lowvision.plugins.folder_dataset import Folder

    value = yaml_reader.parse(text, "--compare").value
    if isinstance(value, str) and value not in registry["datasets"]:
        return Folder(path=value, downscale=downscale, longer_side=longer_side)
    dataset: Dataset = choose_component("datasets", value, "--compare", registry)
    return dataset


def _names(texts: list[str]) -> dict[str, str]:
    """Map the name of each folder or data set to it; equal names are extended by parent folders."""
    named: dict[str, str] = {}
    for text in texts:
        names = [text.strip("{ ").partition(":")[0]] if _is_mapping(text) else _endings(Path(text).resolve())
        named[next((name for name in names if name not in named), text)] = text
    return named


def _endings(folder: Path) -> list[str]:
    """Return the last part of a path, the last two, and so on."""
    parts = [part for part in folder.parts if part != folder.anchor]
    return ["-".join(parts[-n:]) for n in range(1, len(parts) + 1)]


def _is_mapping(text: str) -> bool:
    """Return True for a data set written as in a recipe with options, e.g. `{zip: {path: photos.zip}}`."""
    return text.startswith("{")
