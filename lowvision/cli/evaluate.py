"""`lowvision evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lowvision.cli import evaluate_parameters as parameters
from lowvision.cli.output import print_document
from lowvision.cli.parameters import AsJson, Device, WeightsFile
from lowvision.cli.processes import is_main_process, run_in_processes, set_threads
from lowvision.cli.restore_parameters import Threads

if TYPE_CHECKING:
    from lowvision.plugins.metrics import Metric
    from lowvision.plugins.registry import Registry


def evaluate(
    weights: WeightsFile,
    photos: parameters.Photos,
    downscale: parameters.Downscale = 1.0,
    longer_side: parameters.LongerSide = None,
    budget: parameters.Budgets = None,
    compare: parameters.Compare = None,
    task: parameters.OtherTask = None,
    protocol: parameters.Protocol = "basicsr",
    metric: parameters.Metrics = None,
    output: parameters.Output = None,
    no_gt: parameters.NoGt = False,
    processes: parameters.Processes = None,
    threads: Threads = None,
    cluster: parameters.Cluster = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure quality, exact cost and time of a weights file on photographs, compared with its base network."""
    from lowvision import report
    from lowvision.commands import dataset_argument, tasks
    from lowvision.commands.evaluate import evaluate
    from lowvision.commands.evaluate_request import EvaluateRequest
    from lowvision.inference.limits import check_budget
    from lowvision.models import pretrained
    from lowvision.plugins import registry

    components = registry.load()
    path = pretrained.find(weights, components)
    sizes = {"downscale": downscale, "longer_side": longer_side}
    datasets = dataset_argument.named(photos, sizes, not no_gt, components)
    budgets = tuple(dict.fromkeys(budget or ()))
    for share in budgets:
        check_budget(share)
    fit_on = dataset_argument.parse(compare, "--compare", sizes, components) if compare else None
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
