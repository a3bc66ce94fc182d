"""The stage `evaluate`: measure the weights of earlier stages on `data.test`, which only this stage reads."""

from __future__ import annotations

from torch import nn

from lowvision import report
from lowvision.data.tiles import fixed_tiles
from lowvision.errors import DataError
from lowvision.evaluation import fitting
from lowvision.evaluation.build import build_evaluation
from lowvision.evaluation.measure import Evaluation
from lowvision.evaluation.run import picture_paths, run_evaluation
from lowvision.models import calibration, weights
from lowvision.pipeline.core_stages import Evaluate
from lowvision.pipeline.stages.job import Job
from lowvision.plugins import spelling
from lowvision.routing.container import RoutedContainer
from lowvision.training.log import read_metrics


def run(job: Job, options: Evaluate) -> None:
    """Write the report to the run's folder, and its pictures to `evaluate/`."""
    photographs = job.photographs("test")
    if not photographs:
        job.log.info("evaluate: skipped, the recipe has no data.test")
        return
    evaluation = _evaluation(job, options)
    if evaluation is None:
        job.log.info("evaluate: skipped, no stage of this recipe has trained a network")
        return
    photographs, small = evaluation.measurable(photographs)
    if small:
        job.log.info(f"evaluate: skipped, too small to be measured: {', '.join(small)}")
    if not photographs:
        raise DataError("data.test: no photograph is large enough to be measured; give larger ones")
    sets, pictures = {job.set_name("test"): photographs}, job.folder / "evaluate"
    job.claim(*picture_paths(pictures, sets, options.pictures))
    results = run_evaluation(evaluation, job.deployed, sets, options.pictures, job.accelerator, job.log, pictures)
    if job.accelerator.is_main_process:
        task, title = job.registry.serialize(job.recipe.task), spelling.in_words(job.recipe.task, job.registry)
        document = {"schema": report.SCHEMA, "task": task, "title": title, **results}
        job.claim(*(job.folder / name for name in report.FILES))
        report.write(job.folder, document, read_metrics(job.folder), pictures)
        job.log.info(report.text(document))
    job.accelerator.wait_for_everyone()


def _evaluation(job: Job, options: Evaluate) -> Evaluation | None:
    """Build the evaluation of the trained networks; None if the run has none."""
    container = _container(job)
    base = _base(job, container)
    if base is None:
        return None
    seed, device = job.recipe.seed, job.accelerator.device
    tiles = None
    if options.compare and container:
        tiles = fitting.fitting_tiles(container.branches, job.extractor("valid"), seed, device)
    evaluation = build_evaluation(
        job.deployed,
        base,
        container,
        registry=job.registry,
        fitting=tiles,
        budgets=options.budgets,
        batch=options.batch,
        seed=seed,
        device=device,
        protocol=options.protocol,
        metrics=options.named_metrics(job.registry),
        curve=_curve(job),
    )
    if evaluation.adaptive and options.budgets:
        lq, gt = fixed_tiles(job.extractor("valid"), job.recipe.data.valid_tiles, seed)
        return evaluation.with_adaptive_budgets(options.budgets, lq, gt)
    return evaluation


def _container(job: Job) -> RoutedContainer | None:
    path = job.container_weights()
    return weights.load_container(path, job.deployed, job.registry) if path else None


def _curve(job: Job) -> calibration.Curve | None:
    path = job.container_weights()
    return calibration.read(weights.read_header(path, job.registry).measured) if path else None


def _base(job: Job, container: RoutedContainer | None) -> nn.Module | None:
    """Load the base as trained alone; without such weights, return the last branch of the container."""
    path = job.base_weights()
    if path:
        return weights.load_network(path, job.deployed.only(-1), job.registry)
    return container.branches.networks[-1] if container else None
