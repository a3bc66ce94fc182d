"""The stage `fidelity`: measure the container against its teacher on `data.test`."""

from __future__ import annotations

import json

from lowvision.errors import DataError
from lowvision.evaluation import fidelity, fidelity_report
from lowvision.imaging import io
from lowvision.pipeline.core_stages import Fidelity
from lowvision.pipeline.stages.job import CALIBRATED, Job
from lowvision.system.atomic import whole

DOCUMENT, TEXT, SHEET = "fidelity/fidelity.json", "fidelity/fidelity.txt", "fidelity/worst.png"
PAGE = "fidelity/fidelity.html"
"""Files of the report in the run folder."""


def run(job: Job, options: Fidelity) -> None:
    """Write the report to `fidelity/`; the first process measures alone."""
    photographs = [
        photograph for photograph in job.photographs("test") if min(photograph.lq_size) >= job.recipe.tile.size
    ]
    if not photographs:
        raise DataError("data.test: no photograph is as large as a tile; give larger ones")
    if job.accelerator.is_main_process:
        measurement = fidelity.measure(
            job.folder / CALIBRATED,
            photographs,
            job.registry,
            device=str(job.accelerator.device),
            runtime=options.runtime,
            rounds=options.rounds,
            points=options.points,
            max_loss=options.max_loss,
            say=job.log.info,
        )
        report = fidelity_report.text(measurement.document)
        job.claim(*(job.folder / name for name in (DOCUMENT, TEXT, SHEET, PAGE)))
        with whole(job.folder / DOCUMENT) as part:
            part.write_text(json.dumps(measurement.document, indent=1))
        (job.folder / TEXT).write_text(f"{report}\n", encoding="utf-8")
        worst = fidelity_report.sheet(measurement, options.crops) if options.crops else None
        if worst is not None:
            io.write(job.folder / SHEET, io.Image(worst))
        (job.folder / PAGE).write_text(fidelity_report.html(measurement, worst), encoding="utf-8")
        job.log.info(report)
    job.accelerator.wait_for_everyone()
